"""Who stands out lately: a small count per user that fades. Pure; one object a kind, inside one bridge.

Knows users, amounts and times. A user belongs to one partition, so counts of several bridges are merged by putting
them side by side. At most twice `KEPT` users are held: when there are more, the lower half is forgotten, so that who
stands out stays and who comes once does not fill the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MAX_USERS = 500
HALF_LIFE_SECONDS = 300.0
"""Seconds in which a count halves."""
_LARGEST = 200.0
"""Half-lives since the landmark after which weights are made small again, long before a float overflows."""


@dataclass(frozen=True, slots=True)
class Score:
    """One user's count."""

    user: str
    per_minute: float
    """What a steady rate would have to be to make this count."""
    note: int
    """The last number told with it."""


class TopUsers:
    """Counts that fade. Weights grow with time instead of every count shrinking, so adding is one step."""

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self._notes: dict[str, int] = {}
        self._landmark = 0.0

    def add(self, users: Iterable[tuple[str, float, int]], now: float) -> None:
        """Count an amount for each user, with a number to be remembered; `now` in seconds of any clock."""
        if not self._weights or now - self._landmark > _LARGEST * HALF_LIFE_SECONDS:
            self._rebase(now)
        weight = 2.0 ** ((now - self._landmark) / HALF_LIFE_SECONDS)
        for user, amount, note in users:
            self._weights[user] = self._weights.get(user, 0.0) + amount * weight
            self._notes[user] = note
        if len(self._weights) > 2 * MAX_USERS:
            self._forget()

    def top(self, count: int, now: float) -> list[Score]:
        """Those with the highest counts, the highest first."""
        shrink = 2.0 ** ((self._landmark - now) / HALF_LIFE_SECONDS) * math.log(2) * 60 / HALF_LIFE_SECONDS
        first = sorted(self._weights.items(), key=lambda one: -one[1])[:count]
        return [Score(user, weight * shrink, self._notes[user]) for user, weight in first]

    def _rebase(self, now: float) -> None:
        shrink = 2.0 ** ((self._landmark - now) / HALF_LIFE_SECONDS)
        self._weights = {user: weight * shrink for user, weight in self._weights.items()}
        self._landmark = now

    def _forget(self) -> None:
        kept = sorted(self._weights.items(), key=lambda one: -one[1])[:MAX_USERS]
        self._weights = dict(kept)
        self._notes = {user: self._notes[user] for user, _ in kept}
