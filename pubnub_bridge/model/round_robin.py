"""Round robin: in which order partitions share a bounded resource. Pure.

Served in the same order every time, the first ones would use all of it for as long as more arrives than leaves, and
the last ones would starve.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class RoundRobin:
    """Numbers take turns, beginning after the one served last."""

    def __init__(self) -> None:
        self._last = -1

    def order(self, numbers: Iterable[int]) -> list[int]:
        """The order in which to serve them now."""
        ordered = sorted(numbers)
        begin = bisect_right(ordered, self._last)
        return ordered[begin:] + ordered[:begin]

    def served(self, number: int) -> None:
        """The next order begins after this number."""
        self._last = number
