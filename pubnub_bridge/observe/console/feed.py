"""Snapshots for all open consoles of a process: made once, read by each. Knows Valkey's keys; knows no HTTP.

While no console is open nothing is read. A console that is slow gets the newest snapshot when it is ready for one,
so nothing piles up for it. While Valkey is away each is told so instead.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from graph_service.errors import QueueUnavailable, RateLimited
from graph_service.valkey.client import FIRST, Valkey
from pubnub_bridge.observe.console.schemas import Snapshot
from pubnub_bridge.observe.console.snapshot import Read, snapshot
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys
from pubnub_bridge.store.health import Health, entry_age

PAST = 300
"""Snapshots whose figures are kept, so that a console that opens has a chart to begin with."""


class TooManyConsoles(RateLimited):
    """{most} consoles are open already (MAX_CONSOLES). Close one, or try again in {retry_after} s."""

    code = "too_many_consoles"


class Feed:
    """One process' snapshots."""

    def __init__(self, valkey: Valkey, settings: Settings) -> None:
        self._valkey = valkey
        self._partitions = settings.partitions
        self._seconds = settings.console_interval_seconds
        self._most = settings.max_consoles
        self._health = Health(
            valkey=valkey,
            partitions=settings.partitions,
            valid_for_seconds=max(1, round(3 * settings.status_count_interval_seconds)),
        )
        self._making = asyncio.Lock()
        self._made = float("-inf")
        self._newest: Snapshot | None = None
        self._text = b""
        self._past: deque[tuple[int, dict[str, object]]] = deque(maxlen=PAST)
        self.open = 0
        """Consoles that follow now."""

    @contextmanager
    def console(self) -> Iterator[None]:
        """One more console, while the block runs. Raises `TooManyConsoles`."""
        if self.open >= self._most:
            raise TooManyConsoles(most=self._most, retry_after=5)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events for one console, for ever: `past` once, then `snapshot` or `trouble` every few seconds."""
        yield _event("past", json.dumps([[at, figures] for at, figures in self._past]).encode())
        while True:
            try:
                await self.current()
                yield _event("snapshot", self._text)
            except QueueUnavailable as error:
                yield _event("trouble", json.dumps({"reason": str(error)}).encode())
            await asyncio.sleep(self._seconds)

    async def current(self) -> Snapshot:
        """The newest snapshot; a new one where it is as old as the interval. Raises QueueUnavailable."""
        async with self._making:
            if self._newest is None or time.monotonic() - self._made >= self._seconds * 0.9:
                self._newest = snapshot(await self._read(), self.open)
                self._text = self._newest.model_dump_json().encode()
                self._made = time.monotonic()
                self._past.append((int(time.time() * 1000), self._newest.figures.model_dump()))
            return self._newest

    async def _read(self) -> Read:
        numbers = range(self._partitions)
        bridges = await self._valkey.members(keys.BRIDGES)
        values = await self._valkey.values(
            [
                *(keys.report(name) for name in bridges),
                *(keys.owner(number) for number in numbers),
                keys.COUNT,
                keys.OCCUPANCY,
            ]
        )
        reports = [json.loads(row) for row in values[: len(bridges)] if row]
        owners = [row.decode() if row else None for row in values[len(bridges) : -2]]
        streams = [
            key(number) for key in (keys.presence_log, keys.inbox, keys.dead_letters) for number in numbers
        ]
        lengths = await self._valkey.lengths(streams)
        count = self._partitions
        return Read(
            reports=reports,
            owners=owners,
            seen=lengths[:count],
            inbox=lengths[count : 2 * count],
            dead=lengths[2 * count :],
            oldest=await self._oldest(dict(zip(streams, lengths, strict=True))),
            online=json.loads(values[-2] or b"null"),
            occupancy=json.loads(values[-1] or b"[]"),
            late=await self._health.late(),
            now=time.time(),
        )

    async def _oldest(self, lengths: dict[str, int]) -> list[tuple[float, float]]:
        """Ages of the first entries; only streams that have one are read."""
        numbers = range(self._partitions)
        pairs = [(keys.presence_log(number), keys.inbox(number)) for number in numbers]
        full = {key: FIRST for pair in pairs for key in pair if lengths[key]}
        first = await self._valkey.read(full, count=1)
        ages = {key: entry_age(rows[0][0]) for key, rows in first.items()}
        return [(ages.get(seen, 0.0), ages.get(inbox, 0.0)) for seen, inbox in pairs]


def _event(name: str, data: bytes) -> bytes:
    """One server-sent event (HTML standard, 9.2)."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
