"""Churn of the comparison: one trace for every system. Pure; the same seed and rates give the same trace.

The trace is that of `bench.harness.traces`: joins and leaves alternate, and the user whose last transition is oldest comes
next. Here each transition has a number and a due time, and the times each user was online are recorded.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.harness import traces
from local_stack.data.generate import ids

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Transition:
    """One user connects or disconnects."""

    number: int
    """From 0 over the whole run. Identifies the change in messages."""
    user: int
    joins: bool
    at: float
    """Due time by the monotonic clock. Work that begins later counts as late."""


class Churn:
    """The trace, and when each user was online."""

    def __init__(self, *, users: int, online: Sequence[int], seed: int) -> None:
        self._chance, at_start, names = random.Random(seed), set(online), ids(users)
        online_names = [names[one] for one in online]
        offline = [names[one] for one in range(users) if one not in at_start]
        self._online = deque(self._chance.sample(online_names, len(online_names)))
        self._offline = deque(self._chance.sample(offline, len(offline)))
        self._numbers = {name: number for number, name in enumerate(names)}
        self._count = 0
        self._stays: list[list[tuple[float, float]]] = [[] for _ in range(users)]
        for one in online:
            self._stays[one].append((-FOREVER, FOREVER))

    @property
    def online(self) -> list[int]:
        """Users who are online."""
        return [self._numbers[name] for name in self._online]

    def at_rate(self, rate: float, seconds: float, begin: float) -> list[Transition]:
        """The next transitions, `rate` of them a second on average."""
        made = traces.churn(rate, seconds, self._online, self._offline, self._chance)
        return list(self._recorded(made, begin))

    def _recorded(self, made: Iterator[traces.Transition], begin: float) -> Iterator[Transition]:
        for one in made:
            user, at = self._numbers[one.user], begin + one.at
            if one.joins:
                self._stays[user].append((at, FOREVER))
            else:
                self._stays[user][-1] = (self._stays[user][-1][0], at)
            yield Transition(self._count, user, one.joins, at)
            self._count += 1

    def was_online(self, user: int, begin: float, end: float) -> bool:
        """Whether the user was online for all of that time."""
        return any(came <= begin and end <= went for came, went in self._stays[user])
