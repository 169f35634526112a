"""Who is let in and who is told to come back, while more is asked than can be done. Pure: takes `now`, does no I/O.

A room has places for calls that are under way and space for the bodies they bring. Who finds none waits in a short
line, so that a burst is answered a moment later; who finds the line full is sent away at once, which costs next to
nothing. So what is let in is answered in time, and nothing waits without bound. While calls take longer than they
should, there are fewer places (a third less each time) and a shorter line; as soon as they are fast again both come
back, a little for every answer. So the bound fits an engine that is slow today as well as one that is fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MIN_SLOTS = 8
"""Places that are always left: enough to notice that calls are fast again."""
DECREASE = 2 / 3
INCREASE = 0.1
"""Places that come back with each call that was fast: from the fewest to a hundred in a thousand answers."""
SOONEST, LATEST = 1, 3
"""Seconds in which who was sent away may come back, spread so that they do not come back together."""


@dataclass(frozen=True, slots=True)
class LimiterBounds:
    """What a room is built for."""

    places: int
    """Calls under way at once."""
    size: int
    """Bytes of bodies held at once."""
    patience: float
    """Seconds that a call should take at most, and wait for its place at most."""
    line: int = 0
    """Calls that wait for a place, while all places are there."""


@dataclass(slots=True)
class Limiter:
    """One room: how much of it is taken, and how much there is at present."""

    bounds: LimiterBounds
    taken: int = 0
    waiting: int = 0
    """Calls in the line."""
    held: int = 0
    """Bytes of bodies."""
    _places: float = field(init=False)
    _fewest: float = field(init=False)
    _shrunk_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._places = float(self.bounds.places)
        self._fewest = float(min(MIN_SLOTS, self.bounds.places))

    @property
    def places(self) -> int:
        """Calls that may be under way at once now."""
        return int(self._places)

    def enter(self) -> bool:
        """Take a place; False where none is free."""
        if self.taken >= self.places:
            return False
        self.taken += 1
        return True

    def line_up(self) -> bool:
        """Wait for a place; False where the line is full."""
        if self.waiting >= self.bounds.line * self._places / self.bounds.places:
            return False
        self.waiting += 1
        return True

    def leave_line(self) -> None:
        """Wait no more, with or without a place."""
        self.waiting -= 1

    def leave(self) -> None:
        """Give the place back, which says nothing of how long the call took."""
        self.taken -= 1

    def took(self, seconds: float, now: float) -> None:
        """A call has been answered `now`, after so many seconds in its place."""
        if seconds <= self.bounds.patience:
            self._places = min(float(self.bounds.places), self._places + INCREASE)
        elif now - self._shrunk_at >= self.bounds.patience:
            self._places = max(self._fewest, self._places * DECREASE)
            self._shrunk_at = now

    def hold(self, size: int) -> bool:
        """Keep space for a body; False where there is not enough. One body always fits in an empty room."""
        if self.held and self.held + size > self.bounds.size:
            return False
        self.held += size
        return True

    def drop(self, size: int) -> None:
        """The body is done with."""
        self.held -= size
