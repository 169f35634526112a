"""Admission control: how many syncs may be read from the graph at once. Pure; it is given the durations."""

from __future__ import annotations


class Admission:
    """An adaptive concurrency limit: a duration above its target takes a quarter off, another adds one."""

    def __init__(self, *, max_syncs: int, min_syncs: int = 10) -> None:
        self._max_syncs = max_syncs
        self._min_syncs = min(min_syncs, max_syncs)
        self.limit = max_syncs

    def observe(self, seconds: float, *, target_seconds: float) -> None:
        """What the graph took for a read or a batch of commits."""
        if seconds > target_seconds:
            self.limit = max(self._min_syncs, self.limit * 3 // 4)
        else:
            self.limit = min(self._max_syncs, self.limit + 1)
