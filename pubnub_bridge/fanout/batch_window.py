"""Batch window controller: the lateness of publishing in, the batch window of all outboxes out.

One a process, for the partitions it owns or for the entries that SQS hands it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from pubnub_bridge.fanout.batcher import AdaptiveWindow, BatchWindow
from pubnub_bridge.fanout.publisher import PartitionOutbox, due_times


class BatchWindowController:
    """Widens the window while batches are published late, and closes it by and by."""

    def __init__(
        self,
        *,
        window: BatchWindow,
        outboxes: Mapping[int, PartitionOutbox],
        wakeup: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window = window
        self._adaptive = AdaptiveWindow(window=window)
        self._outboxes = outboxes
        self._wakeup = wakeup
        self._clock = clock
        self._paused_at = 0.0

    @property
    def seconds(self) -> float:
        """The window now."""
        return self._adaptive.seconds

    @property
    def late(self) -> bool:
        """Whether batches are published late, so that the window is wider than it must be."""
        return self.seconds > self._window.min_seconds

    def update(self, *, paused: bool = False, min_seconds: float = 0.0) -> None:
        """Measure the lateness and set the window, at least to `min_seconds`; `paused` while nothing can be published."""
        now, before = self._clock(), self.seconds
        if paused:
            self._paused_at = now
        # A batch that waited for the origin to come back is no sign of overload.
        late = max([0.0, *(now - max(due, self._paused_at) for due in due_times(self._outboxes.values()))])
        seconds = self._adaptive.observe(late, now, min_seconds)
        for outbox in self._outboxes.values():
            outbox.batcher.window = seconds  # what waits already need not wait longer than what comes now
        if seconds < before:
            self._wakeup.set()
