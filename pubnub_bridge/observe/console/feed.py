"""Snapshots for all open consoles of one process: made once an interval, sent to each as server-sent events.

Invariants: while no console is open nothing is read; a slow console gets the newest snapshot when it is ready for one,
so nothing piles up for it; while Valkey is away each console gets the reason instead.
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
from pubnub_bridge.observe.console.bridge_report import BridgeReport
from pubnub_bridge.observe.console.schemas import Snapshot
from pubnub_bridge.observe.console.snapshot import StreamAges, SystemState, snapshot
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys
from pubnub_bridge.store.health import Health, entry_age

CONSOLE_INTERVAL_SECONDS = 2.0
"""Between two snapshots, which all consoles of a process share."""
MAX_CONSOLES = 20
"""Consoles that one process serves at a time."""
MAX_PAST_FIGURES = 300
"""Snapshots whose figures are cached, so that a console that opens begins with a chart."""
RETRY_AFTER_SECONDS = 5
REUSE_SHARE = 0.9
"""A snapshot younger than this share of the interval is sent again instead of a new one."""


class TooManyConsoles(RateLimited):
    """{most} consoles are open already. Close one, or try again in {retry_after} s."""

    code = "too_many_consoles"


class Feed:
    """Snapshots of one process."""

    def __init__(self, *, valkey: Valkey, settings: Settings) -> None:
        self._valkey = valkey
        self._partitions = settings.partitions
        self._interval_seconds = CONSOLE_INTERVAL_SECONDS
        self._max_consoles = MAX_CONSOLES
        self._health = Health(
            valkey=valkey,
            partitions=settings.partitions,
            valid_for_seconds=max(1, round(3 * settings.status_count_interval_seconds)),
        )
        self._snapshot_lock = asyncio.Lock()
        self._snapshot_at = float("-inf")
        self._snapshot: Snapshot | None = None
        self._encoded = b""
        self._past: deque[tuple[int, dict[str, object]]] = deque(maxlen=MAX_PAST_FIGURES)
        self.open = 0
        """Consoles that are open now."""

    @contextmanager
    def console(self) -> Iterator[None]:
        """Counts one more console while the block runs. Raises `TooManyConsoles`."""
        if self.open >= self._max_consoles:
            raise TooManyConsoles(most=self._max_consoles, retry_after=RETRY_AFTER_SECONDS)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events for one console, without end: `past` once, then a `snapshot` or `trouble` an interval."""
        yield _event("past", json.dumps([[at, figures] for at, figures in self._past]).encode())
        while True:
            try:
                await self.current()
                yield _event("snapshot", self._encoded)
            except QueueUnavailable as error:
                yield _event("trouble", json.dumps({"reason": str(error)}).encode())
            await asyncio.sleep(self._interval_seconds)

    async def current(self) -> Snapshot:
        """The newest snapshot, made again once it is as old as the interval. Raises QueueUnavailable."""
        async with self._snapshot_lock:
            if (
                self._snapshot is None
                or time.monotonic() - self._snapshot_at >= self._interval_seconds * REUSE_SHARE
            ):
                self._snapshot = snapshot(await self._read(), consoles=self.open)
                self._encoded = self._snapshot.model_dump_json().encode()
                self._snapshot_at = time.monotonic()
                self._past.append((int(time.time() * 1000), self._snapshot.figures.model_dump()))
            return self._snapshot

    async def _read(self) -> SystemState:
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
        reports = [BridgeReport.decode(json.loads(row)) for row in values[: len(bridges)] if row]
        owners = [row.decode() if row else None for row in values[len(bridges) : -2]]
        streams = [
            key(number) for key in (keys.presence_log, keys.inbox, keys.dead_letters) for number in numbers
        ]
        lengths = await self._valkey.lengths(streams)
        count = self._partitions
        return SystemState(
            reports=reports,
            owners=owners,
            log_lengths=lengths[:count],
            inbox_lengths=lengths[count : 2 * count],
            dead_letters=lengths[2 * count :],
            ages=await self._ages(dict(zip(streams, lengths, strict=True))),
            online=json.loads(values[-2] or b"null"),
            occupancy=json.loads(values[-1] or b"[]"),
            degraded_reason=await self._health.late(),
            now=time.time(),
        )

    async def _ages(self, lengths: dict[str, int]) -> list[StreamAges]:
        """Of each partition; only streams that have an entry are read."""
        numbers = range(self._partitions)
        pairs = [(keys.presence_log(number), keys.inbox(number)) for number in numbers]
        full = {key: FIRST for pair in pairs for key in pair if lengths[key]}
        first = await self._valkey.read(full, count=1)
        age = {key: entry_age(rows[0][0]) for key, rows in first.items()}
        return [StreamAges(log=age.get(log, 0.0), inbox=age.get(inbox, 0.0)) for log, inbox in pairs]


def _event(name: str, data: bytes) -> bytes:
    """One server-sent event (HTML standard, 9.2)."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
