"""How many owed syncs may be read from the graph at once. Pure: it is told how long reads took."""

from __future__ import annotations


class Admission:
    """How many owed syncs may be under way in a storm: as many as the graph bears.

    Every read and every settling tells how long it took. Longer than it should: a quarter fewer; else one more.
    """

    def __init__(self, most: int, least: int = 10) -> None:
        self._most = most
        self._least = min(least, most)
        self.room = most

    def felt(self, seconds: float, target: float) -> None:
        """What the graph took for something that should take `target` seconds."""
        if seconds > target:
            self.room = max(self._least, self.room * 3 // 4)
        else:
            self.room = min(self._most, self.room + 1)
