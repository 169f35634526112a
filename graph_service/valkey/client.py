"""Valkey or Redis on one server: streams, leases, values, lists, publish/subscribe.

Streams are read without consumer groups: the owner of a key reads from the first entry and deletes what is done.
Keys of one call that must change atomically carry one hash tag, so the same code runs on a Cluster.
Every failure of the server is raised as `QueueUnavailable`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import redis.asyncio as redis
from redis.exceptions import ResponseError

from graph_service.valkey import scripts
from graph_service.valkey.failures import answering

Entry = tuple[str, bytes]
"""An entry's id and its body."""


FIELD = b"e"
MAX_CONNECTIONS = 1000
"""Of one process to one server: more than requests in progress at once, which the concurrency limits of the API bound.
The library's default of 100 made a burst fail; its pool that waits instead takes a tenth of a bridge's CPU."""
FIRST = "0"
"""The position before the first entry of a stream."""


class Valkey:
    """A connection pool to one server."""

    clustered = False
    """Whether keys are spread over several servers."""

    def __init__(self, *, client: redis.Redis) -> None:
        self._client = client
        self.failed_over = asyncio.Event()
        """Set when another server has taken over a part of the keys; on one server never."""

    async def append(
        self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes] | None = None
    ) -> None:
        """Append (key, body) pairs in this order and set `values`, atomically."""
        with answering():
            async with self._client.pipeline(transaction=True) as pipe:
                for key, body in entries:
                    pipe.xadd(key, {FIELD: body})
                for key, value in (values or {}).items():
                    pipe.set(key, value)
                await pipe.execute()

    async def read(
        self, positions: Mapping[str, str], count: int = 500, block: int | None = None
    ) -> dict[str, list[Entry]]:
        """The entries after each key's position, at most `count` for each; waits up to `block` milliseconds for any."""
        if not positions:
            return {}
        with answering():
            found: Any = await self._client.xread(cast(Any, dict(positions)), count=count, block=block)
        return {key.decode(): [(i.decode(), body[FIELD]) for i, body in rows] for key, rows in found}

    async def delete(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Delete entries by key and id; missing ones are ignored."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key, some in ids.items():
                    if some:
                        pipe.xdel(key, *some)
                await pipe.execute()

    async def lengths(self, keys: Sequence[str]) -> list[int]:
        """The number of entries of each stream."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.xlen(key)
                return list(await pipe.execute())

    async def get(self, key: str) -> bytes | None:
        """A value, or None."""
        with answering():
            return cast("bytes | None", await self._client.get(key))

    async def put(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """Store a value, for `seconds` or without an expiry."""
        with answering():
            await self._client.set(key, value, px=None if seconds is None else max(1, int(seconds * 1000)))

    async def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Several values, in the order of their keys."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.get(key)
                return list(await pipe.execute())

    async def append_capped(self, key: str, body: bytes, max_entries: int) -> None:
        """Append to a stream that is trimmed to about `max_entries`."""
        with answering():
            await self._client.xadd(key, {FIELD: body}, maxlen=max_entries, approximate=True)

    async def newest(self, key: str, count: int) -> list[Entry]:
        """The last entries of a stream, newest first."""
        with answering():
            found: Any = await self._client.xrevrange(key, count=count)
        return [(entry.decode(), body[FIELD]) for entry, body in found]

    async def members(self, key: str) -> list[str]:
        """The members of a liveness set (see `alive`), in order of name."""
        with answering():
            found: Any = await self._client.zrange(key, 0, -1)
        return sorted(one.decode() for one in found)

    async def alive(self, key: str, member: str, milliseconds: int) -> list[str]:
        """Announce that `member` is alive for `milliseconds`; returns all that are alive, in order of name."""
        with answering():
            found: Any = await self._client.eval(scripts.ALIVE, 1, key, member, milliseconds)
        return sorted(one.decode() for one in found)

    async def leave(self, key: str, member: str) -> None:
        """Remove a member from a liveness set."""
        with answering():
            await self._client.zrem(key, member)

    async def lease(self, key: str, member: str, milliseconds: int) -> bool:
        """Take or renew a lease; False where another member holds it."""
        with answering():
            return bool(await self._client.eval(scripts.LEASE, 1, key, member, milliseconds))

    async def release(self, key: str, member: str) -> None:
        """Release a lease, unless another member holds it by now."""
        with answering():
            await self._client.eval(scripts.RELEASE, 1, key, member)

    async def raise_to(self, key: str, number: int) -> None:
        """Set a value to `number` where that is higher."""
        with answering():
            await self._client.eval(scripts.RAISE, 1, key, number)

    async def remember(self, rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> None:
        """Push each row to the front of its list, trimmed to the `most` newest and expiring after `seconds`."""
        with answering():
            await self._client.eval(*scripts.remember(rows, most, seconds))

    async def remembered(self, key: str) -> list[bytes]:
        """The rows of a list, newest first."""
        with answering():
            found: Any = await self._client.lrange(key, 0, -1)
        return list(found)

    async def listen(self, channel: str) -> AsyncIterator[None]:
        """Yield at every wake-up on a channel."""
        with answering():
            async with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                async for _ in subscription.listen():
                    yield None

    async def forget(self, keys: Sequence[str]) -> None:
        """Delete values; missing ones are ignored."""
        with answering():
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.delete(key)
                await pipe.execute()

    async def publish_wakeup(self, channel: str) -> None:
        """Wake up all listeners of a channel. Not stored: listeners also poll."""
        with answering():
            await self._client.publish(channel, b"")

    async def facts(self) -> dict[str, str]:
        """The server's INFO by name, with `appendfsync` where its configuration may be read."""
        with answering():
            found: Any = dict(cast(Any, await self._client.info()))
            with suppress(ResponseError):  # hosted servers do not let clients read their configuration
                found |= await self._client.config_get("appendfsync")
        return {str(name): str(value) for name, value in found.items()}

    async def time(self) -> float:
        """The server's clock, Unix seconds."""
        with answering():
            seconds, microseconds = await self._client.time()
        return seconds + microseconds / 1e6

    async def ping(self) -> None:
        """Return when the server responds."""
        with answering():
            await self._client.ping()
