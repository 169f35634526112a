"""Who comes and who goes, and when: one trace for every system. Pure; the same seed and rates give the same trace.

The trace is that of `bench.harness.traces`: as many come as go, and whoever did neither for longest has the turn. Here each
turn gets a number and a due time, and it is kept who was here when.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.harness import traces
from local_stack.data.generate import ids

EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Turn:
    """One person connects or disconnects."""

    number: int
    """From 0 over the whole run: a name for the change on the wire."""
    person: int
    comes: bool
    at: float
    """When it is due, by the monotonic clock. Work that begins later counts as late."""


class Churn:
    """The trace, and who was here when."""

    def __init__(self, people: int, online: Sequence[int], seed: int) -> None:
        self._chance, here, names = random.Random(seed), set(online), ids(people)
        there = [names[one] for one in online]
        away = [names[one] for one in range(people) if one not in here]
        self._here = deque(self._chance.sample(there, len(there)))
        self._away = deque(self._chance.sample(away, len(away)))
        self._numbers = {name: number for number, name in enumerate(names)}
        self._count = 0
        self._stays: list[list[tuple[float, float]]] = [[] for _ in range(people)]
        for one in online:
            self._stays[one].append((-EVER, EVER))

    @property
    def here(self) -> list[int]:
        """Who is here."""
        return [self._numbers[name] for name in self._here]

    def at_rate(self, rate: float, seconds: float, begin: float) -> list[Turn]:
        """The next turns, `rate` of them a second on average."""
        made = traces.churn(rate, seconds, self._here, self._away, self._chance)
        return list(self._noted(made, begin))

    def _noted(self, made: Iterator[traces.Turn], begin: float) -> Iterator[Turn]:
        for one in made:
            person, at = self._numbers[one.user], begin + one.at
            if one.comes:
                self._stays[person].append((at, EVER))
            else:
                self._stays[person][-1] = (self._stays[person][-1][0], at)
            yield Turn(self._count, person, one.comes, at)
            self._count += 1

    def was_here(self, person: int, begin: float, end: float) -> bool:
        """Whether they were here for all of that time."""
        return any(came <= begin and end <= went for came, went in self._stays[person])
