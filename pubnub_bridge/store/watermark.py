"""Watermark: the highest `ts` that was ever sent. A read of the graph whose clock is not above it is repeated.

Without it, a newer state could carry an older stamp after the graph moved to another server, and clients would drop it.
The watermark is raised, in Valkey and in memory, before anything with that stamp is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from graph_service.errors import Unavailable
from graph_service.valkey.client import Valkey
from pubnub_bridge import metrics
from pubnub_bridge.store import keys

MAX_WAIT_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class ClockBehind(Unavailable):
    """The graph's clock is {seconds:.1f} s behind the newest message; its reads are repeated until it is not."""

    code = "clock_behind"


class Stamped(Protocol):
    """Anything read with the graph's clock."""

    @property
    def ts(self) -> int:
        """Microseconds since the epoch."""


Row = TypeVar("Row", bound=Stamped)


class Watermark:
    """`highest` is in microseconds by the graph's clock."""

    def __init__(self, *, valkey: Valkey) -> None:
        self._valkey = valkey
        self.highest = 0

    async def load(self) -> None:
        """Begin at the highest `ts` that any process has sent."""
        self.highest = max(self.highest, int(await self._valkey.get(keys.WATERMARK) or 0))

    async def read(self, call: Callable[[], Awaitable[Sequence[Row]]]) -> Sequence[Row]:
        """Rows whose stamps may be sent.

        Raises:
            ClockBehind: a stamp is not above the watermark; read again.
        """
        # Taken before the call: the read begins after `floor` was sent, so a correct clock is above it.
        floor = self.highest
        rows = await call()
        if not rows:
            return rows
        lowest, newest = min(row.ts for row in rows), max(row.ts for row in rows)
        if lowest <= floor:
            behind = (floor - lowest) / 1e6
            metrics.CLOCK_BEHIND.inc()
            _log.error("read.graph_clock.behind", seconds=behind)
            await asyncio.sleep(min(MAX_WAIT_SECONDS, behind))
            raise ClockBehind(seconds=behind)
        if newest > self.highest:
            # Valkey first: after a crash between the two, another process must not begin below what was sent.
            await self._valkey.raise_to(keys.WATERMARK, newest)
            self.highest = max(self.highest, newest)
        return rows
