"""Users with the highest rates lately: an exponentially decaying count for each, in one bridge. Pure; time passed in.

A user belongs to one partition, so the lists of several bridges are merged side by side. Invariant: at most twice
`MAX_USERS` users are stored; beyond that the lower half is dropped, so high counts stay and one-off users do not fill
the memory. Weights grow with time instead of every count shrinking (forward decay), so adding is one step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MAX_USERS = 500
HALF_LIFE_SECONDS = 300.0
_MAX_HALF_LIVES = 200.0
"""Since the landmark: then weights are made small again, long before a float overflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One user's count."""

    user: str
    per_minute: float
    """The steady rate that would make this count."""
    note: int
    """The last number added with it."""


class TopUsers:
    """The counts of one kind of event."""

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self._notes: dict[str, int] = {}
        self._landmark = 0.0

    def add(self, users: Iterable[tuple[str, float, int]], now: float) -> None:
        """Add (user, amount, note) for each; `now` in seconds of any clock."""
        if not self._weights or now - self._landmark > _MAX_HALF_LIVES * HALF_LIFE_SECONDS:
            self._rebase(now)
        weight = 2.0 ** ((now - self._landmark) / HALF_LIFE_SECONDS)
        for user, amount, note in users:
            self._weights[user] = self._weights.get(user, 0.0) + amount * weight
            self._notes[user] = note
        if len(self._weights) > 2 * MAX_USERS:
            self._drop_lower_half()

    def top(self, count: int, now: float) -> list[Score]:
        """The highest counts, the highest first."""
        shrink = 2.0 ** ((self._landmark - now) / HALF_LIFE_SECONDS) * math.log(2) * 60 / HALF_LIFE_SECONDS
        first = sorted(self._weights.items(), key=lambda one: -one[1])[:count]
        return [
            Score(user=user, per_minute=weight * shrink, note=self._notes[user]) for user, weight in first
        ]

    def _rebase(self, now: float) -> None:
        shrink = 2.0 ** ((self._landmark - now) / HALF_LIFE_SECONDS)
        self._weights = {user: weight * shrink for user, weight in self._weights.items()}
        self._landmark = now

    def _drop_lower_half(self) -> None:
        highest = sorted(self._weights.items(), key=lambda one: -one[1])[:MAX_USERS]
        self._weights = dict(highest)
        self._notes = {user: self._notes[user] for user, _ in highest}
