"""How much may wait: streams that are full take nothing more in, so that what stands in them can still be worked off.

Knows streams and their lengths. Without a bound of our own, intake would end where Valkey's memory ends, and there
nothing could be written any more that is needed to delete. Lengths are looked at once a second and stream.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from graph_service.errors import QueueUnavailable
from graph_service.valkey.client import Valkey
from pubnub_bridge import metrics

FRESH_SECONDS = 1.0
"""Seconds that a length is believed; what comes meanwhile is small beside the limit."""


class StreamFull(QueueUnavailable):
    """{waiting} entries wait already: more than MAX_STREAM_ENTRIES ({limit}). Nothing was accepted; try again in a moment."""

    code = "stream_full"


class Backpressure:
    """Looks before anything is accepted."""

    def __init__(self, valkey: Valkey, limit: int) -> None:
        self._valkey = valkey
        self._limit = limit
        self._known: dict[str, tuple[float, int]] = {}

    async def check(self, streams: Sequence[str]) -> None:
        """Raises `StreamFull` where one of these streams takes nothing more in, QueueUnavailable as Valkey does."""
        now = time.monotonic()
        if old := [one for one in streams if self._known.get(one, (0.0, 0))[0] <= now]:
            lengths = await self._valkey.lengths(old)
            self._known |= {
                key: (now + FRESH_SECONDS, waiting) for key, waiting in zip(old, lengths, strict=True)
            }
        longest = max((self._known[one][1] for one in streams), default=0)
        if longest >= self._limit:
            metrics.BACKPRESSURE.inc()
            raise StreamFull(waiting=longest, limit=self._limit)
