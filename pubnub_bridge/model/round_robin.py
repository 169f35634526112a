"""Whose turn it is where many share one bounded room. Pure.

Served in the same order every time, the first ones would fill the room for as long as more comes than goes, and the
last ones would wait for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class RoundRobin:
    """Numbered parts that take turns: whoever comes after the one served last begins."""

    def __init__(self) -> None:
        self._last = -1

    def order(self, numbers: Iterable[int]) -> list[int]:
        """In which order to serve them now."""
        ordered = sorted(numbers)
        begin = bisect_right(ordered, self._last)
        return ordered[begin:] + ordered[:begin]

    def served(self, number: int) -> None:
        """This one had its turn."""
        self._last = number
