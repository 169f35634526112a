"""What reached whom, and how fresh it was. Pure; knows numbers of turns and of people, no wire."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.peers.churn import Churn, Turn

BEFORE_S = 1.0
"""A friend must have been here so long before a turn to be owed it; who comes later learns it on arrival."""
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Freshness:
    """From a turn to its receipt by each friend who is owed it, in milliseconds. What never came counts as infinite."""

    owed: int
    arrived: float
    """The share that came."""
    p50: float
    p99: float


class Arrivals:
    """Changes as they were heard: which turn, by whom, when."""

    def __init__(self, people: int) -> None:
        self._people = people
        self._keys = array("q")
        self._at = array("d")
        self._last: dict[tuple[int, bool], int] = {}

    def begin(self, turn: Turn) -> None:
        """A turn is made now."""
        self._last[turn.person, turn.comes] = turn.number

    def number(self, person: int, comes: bool) -> int | None:
        """The latest turn of that kind, for a wire that carries no number."""
        return self._last.get((person, comes))

    def heard(self, number: int, recipient: int, at: float) -> None:
        """Someone was told."""
        self._keys.append(number * self._people + recipient)
        self._at.append(at)

    def deliveries(self, begin: float, end: float) -> int:
        """Different changes that reached different people in that time: one for each friend and change."""
        at = np.array(self._at)
        keys = np.array(self._keys)[(at >= begin) & (at < end)]
        return len(np.unique(keys))

    def freshness(self, turns: Sequence[Turn], owed: Iterable[Iterable[int]]) -> Freshness:
        """Of these turns, each with the people who are owed it."""
        wanted = [
            (turn.number * self._people + one, turn.at)
            for turn, people in zip(turns, owed, strict=True)
            for one in people
        ]
        if not wanted:
            return Freshness(0, 0.0, NEVER, NEVER)
        keys, due = np.array([key for key, _ in wanted]), np.array([at for _, at in wanted])
        late = self._first(keys) - due
        p50, p99 = np.percentile(late, (50, 99), method="higher") * 1000
        arrived = float(np.isfinite(late).mean())
        return Freshness(len(keys), arrived, float(p50), float(p99))

    def _first(self, keys: np.ndarray) -> np.ndarray:
        """When each key was first heard; never where it was not."""
        if not self._keys:
            return np.full(len(keys), NEVER)
        heard, first = np.unique(np.array(self._keys), return_index=True)
        at = np.minimum(np.searchsorted(heard, keys), len(heard) - 1)
        return np.where(heard[at] == keys, np.array(self._at)[first[at]], NEVER)


def owed(churn: Churn, friends: Sequence[set[int]], turn: Turn, patience: float) -> list[int]:
    """The friends who are here from before the turn until `patience` seconds after it."""
    begin, end = turn.at - BEFORE_S, turn.at + patience
    return [one for one in friends[turn.person] if churn.was_here(one, begin, end)]
