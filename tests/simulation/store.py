"""Valkey in memory: streams, values, leases and wake-ups, with the interface of `graph_service`'s client.

An append with its values is all or nothing. Ids of entries rise. Nothing is lost when a process dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from graph_service.errors import QueueUnavailable
from tests.simulation.gates import Gates
from tests.simulation.loop import Life

Entry = tuple[str, bytes]


class Watcher(Protocol):
    """Who checks what is done to streams."""

    def appended(self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes]) -> None:
        """These entries and values are written together."""

    def deleted(self, key: str, body: bytes) -> None:
        """This entry is gone."""


class Store:
    """What outlives every process."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._number = 0
        self.streams: dict[str, dict[str, bytes]] = {}
        self.values: dict[str, bytes] = {}
        self.leases: dict[str, tuple[str, int]] = {}
        self.members: dict[str, dict[str, int]] = {}
        self.split_brain = False
        """Every process sees itself alone and gets every lease."""
        self.watchers: list[Watcher] = []
        self._waiting: list[tuple[frozenset[str], asyncio.Future[None]]] = []

    def append(self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes]) -> None:
        """All of it at one instant."""
        for key, body in entries:
            self._number += 1
            self.streams.setdefault(key, {})[f"{self._now():013}-{self._number:06}"] = body
        self.values.update(values)
        for watcher in self.watchers:
            watcher.appended(entries, values)
        self._wake({key for key, _ in entries})

    def read(self, positions: Mapping[str, str], count: int) -> dict[str, list[Entry]]:
        """The entries after each position."""
        found = {}
        for key, place in positions.items():
            rows = [(one, body) for one, body in self.streams.get(key, {}).items() if one > place]
            if rows:
                found[key] = rows[:count]
        return found

    def delete(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Forget entries."""
        for key, some in ids.items():
            for one in some:
                body = self.streams.get(key, {}).pop(one, None)
                if body is not None:
                    for watcher in self.watchers:
                        watcher.deleted(key, body)

    def entries(self, suffix: str) -> list[bytes]:
        """All that stands in the streams of one kind."""
        return [body for key, some in self.streams.items() if key.endswith(suffix) for body in some.values()]

    def lease(self, key: str, who: str, milliseconds: int) -> bool:
        """Take or renew."""
        holder, until = self.leases.get(key, (who, 0))
        if not self.split_brain and holder != who and until > self._now():
            return False
        self.leases[key] = (who, self._now() + milliseconds)
        return True

    def release(self, key: str, who: str) -> None:
        """Give back."""
        if self.leases.get(key, ("", 0))[0] == who:
            del self.leases[key]

    def alive(self, key: str, who: str, milliseconds: int) -> list[str]:
        """Who lives."""
        if self.split_brain:
            return [who]
        some = self.members.setdefault(key, {})
        some[who] = self._now() + milliseconds
        self.members[key] = {one: until for one, until in some.items() if until > self._now()}
        return sorted(self.members[key])

    def forget_process(self, who: str) -> None:
        """Its leases and its heartbeat have run out."""
        self.leases = {key: one for key, one in self.leases.items() if one[0] != who}
        for some in self.members.values():
            some.pop(who, None)

    def wait_for(self, keys: frozenset[str]) -> asyncio.Future[None]:
        """Done when one of these streams gets an entry, or one of these channels a wake-up."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, future))
        return future

    def _wake(self, keys: set[str]) -> None:
        for one in [one for one in self._waiting if one[0] & keys]:
            self._waiting.remove(one)
            if not one[1].done():
                one[1].set_result(None)

    def wake(self, channel: str) -> None:
        """Wake all that listen."""
        self._wake({channel})


def _kind(verb: str, keys: Sequence[str]) -> str:
    return f"{verb} {keys[0].rpartition(':')[2]}" if keys else verb


class ValkeyPort:
    """One process's connection: the part of the client's interface that the product uses."""

    clustered = False

    def __init__(self, store: Store, gates: Gates, life: Life) -> None:
        self._store, self._gates, self._life = store, gates, life
        self.failed_over = asyncio.Event()

    async def _call(self, kind: str, perform: Callable[[], Any]) -> Any:
        return await self._gates.call(self._life, kind, perform, lambda: QueueUnavailable(reason="scripted"))

    async def append(
        self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes] | None = None
    ) -> None:
        """All of it or nothing."""
        kind = _kind("append", [key for key, _ in entries] or ["seen"])
        await self._call(kind, lambda: self._store.append(list(entries), dict(values or {})))

    async def read(
        self, positions: Mapping[str, str], count: int = 500, block: int | None = None
    ) -> dict[str, list[Entry]]:
        """Waits for the first entry, for `block` milliseconds."""
        places = dict(positions)
        found: dict[str, list[Entry]] = await self._call(
            "read streams", lambda: self._store.read(places, count)
        )
        if found or not block:
            return found
        try:
            async with asyncio.timeout(block / 1000):
                await self._store.wait_for(frozenset(places))
        except TimeoutError:
            return {}
        return self._store.read(places, count)

    async def delete(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Those already gone are no error."""
        entries = {key: list(some) for key, some in ids.items()}
        await self._call(_kind("delete", list(entries)), lambda: self._store.delete(entries))

    async def lengths(self, keys: Sequence[str]) -> list[int]:
        """The number of entries of each stream."""
        return [len(self._store.streams.get(key, {})) for key in keys]

    async def get(self, key: str) -> bytes | None:
        """A stored value."""
        found: bytes | None = await self._call("cursor", lambda: self._store.values.get(key))
        return found

    async def put(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """Keep a value; those that end by themselves are not needed here."""
        if seconds is None:
            await self._call("cursor", lambda: self._store.append([], {key: value}))

    async def raise_to(self, key: str, number: int) -> None:
        """Keep the highest number."""

        def perform() -> None:
            had = int(self._store.values.get(key, b"0"))
            self._store.values[key] = str(max(had, number)).encode()

        await self._call("watermark", perform)

    async def alive(self, key: str, who: str, milliseconds: int) -> list[str]:
        """Say that one lives; who does."""
        found: list[str] = await self._call("lease", lambda: self._store.alive(key, who, milliseconds))
        return found

    async def leave(self, key: str, who: str) -> None:
        """Not alive any more."""
        await self._call("lease", lambda: self._store.members.get(key, {}).pop(who, None))

    async def lease(self, key: str, who: str, milliseconds: int) -> bool:
        """Take a lease, or renew it."""
        return bool(await self._call("lease", lambda: self._store.lease(key, who, milliseconds)))

    async def release(self, key: str, who: str) -> None:
        """Give a lease back."""
        await self._call("lease", lambda: self._store.release(key, who))

    async def remember(self, rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> None:
        """Put each row in front of its list."""

        def perform() -> None:
            for key, row in rows:
                self._store.streams[key] = {str(len(self._store.streams.get(key, {}))): row}

        await self._call("remember", perform)

    async def listen(self, channel: str) -> AsyncIterator[None]:
        """Every wake-up of a channel."""
        while True:
            await self._store.wait_for(frozenset({channel}))
            yield None

    async def publish_wakeup(self, channel: str) -> None:
        """Wake all that listen."""
        await self._call("wake-up", lambda: self._store.wake(channel))
