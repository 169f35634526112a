"""Backpressure: a stream that holds its maximum of entries accepts nothing more until some are deleted.

Without this bound, ingest would end where Valkey's memory ends, and there nothing could be written any more that is
needed to delete entries. Lengths are cached for a second; a stream can exceed the maximum by what arrives in it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from graph_service.errors import QueueUnavailable
from graph_service.valkey.client import Valkey
from pubnub_bridge import metrics

LENGTH_CACHE_SECONDS = 1.0


class StreamFull(QueueUnavailable):
    """{waiting} entries wait already: more than MAX_STREAM_ENTRIES ({limit}). Nothing was accepted; try again in a moment."""

    code = "stream_full"


class Backpressure:
    """Checked before anything is accepted."""

    def __init__(self, *, valkey: Valkey, max_entries: int) -> None:
        self._valkey = valkey
        self._max_entries = max_entries
        self._lengths: dict[str, tuple[float, int]] = {}
        """By stream: when the cached length expires (monotonic seconds), and the length."""

    async def check(self, streams: Sequence[str]) -> None:
        """Raise `StreamFull` if one of these streams is full, and QueueUnavailable as Valkey does."""
        now = time.monotonic()
        if expired := [stream for stream in streams if self._lengths.get(stream, (0.0, 0))[0] <= now]:
            lengths = await self._valkey.lengths(expired)
            self._lengths |= {
                stream: (now + LENGTH_CACHE_SECONDS, length)
                for stream, length in zip(expired, lengths, strict=True)
            }
        longest = max((self._lengths[stream][1] for stream in streams), default=0)
        if longest >= self._max_entries:
            metrics.BACKPRESSURE.inc()
            raise StreamFull(waiting=longest, limit=self._max_entries)
