"""The highest `ts` that was ever told. A graph whose clock is behind it, as after a move to another server, waits.

Knows Valkey's copy of it and reads of the graph; without it a newer state could carry an older stamp and be dropped.
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

_log = structlog.get_logger(__name__)


class ClockBehind(Unavailable):
    """The graph's clock is {seconds:.1f} s behind what was told already; its reads are repeated until it is not."""

    code = "clock_behind"


class Stamped(Protocol):
    """Anything read with the graph's clock."""

    @property
    def ts(self) -> int:
        """Microseconds since the epoch."""


Row = TypeVar("Row", bound=Stamped)


class Watermark:
    """Kept in memory and in Valkey; raised before anything so stamped leaves."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self.highest = 0

    async def load(self) -> None:
        """Begin with what every process has told so far."""
        self.highest = max(self.highest, int(await self._valkey.get(keys.WATERMARK) or 0))

    async def read(self, call: Callable[[], Awaitable[Sequence[Row]]]) -> Sequence[Row]:
        """Rows whose stamps may be told: the read began after `highest` was told, so it must be newer.

        Raises:
            ClockBehind: it is; read again.
        """
        floor = self.highest
        rows = await call()
        if not rows:
            return rows
        lowest, newest = min(row.ts for row in rows), max(row.ts for row in rows)
        if lowest <= floor:
            behind = (floor - lowest) / 1e6
            metrics.CLOCK_BEHIND.inc()
            _log.error("the graph's clock is behind", seconds=behind)
            await asyncio.sleep(min(1.0, behind))
            raise ClockBehind(seconds=behind)
        if newest > self.highest:
            await self._valkey.raise_to(keys.WATERMARK, newest)
            self.highest = max(self.highest, newest)
        return rows
