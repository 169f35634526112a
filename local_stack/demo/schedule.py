"""Who of the demo people comes, goes or flaps, and when. Pure: takes `now` and a source of chance; knows no network.

A visit's length is log-normal, as measured lengths of app sessions are; the pause until the next one is exponential.
The first moment is drawn as if everybody had lived like this for ever, so the share of people present is right from
the start. During a visit a person may flap: drop and be back before friends would be told.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_FLAP_SHARE = 0.8
"""The longest flap, as a share of the hold: a computer that is busy must not turn it into a real absence."""
MAX_PRESENT_SHARE = 1.25
"""How many may be present at once, as a share of how many usually are; who comes then waits."""
FULL_RETRY_SECONDS = 60.0
"""Seconds, on average, that someone waits who found the place full."""


class Act(StrEnum):
    """What a person does."""

    COME = "come"
    DROP = "drop"
    """Leaves, and will be back within the hold."""
    BACK = "back"
    GO = "go"
    """Leaves and says so."""
    VANISH = "vanish"
    """Is gone without a word, as a phone in a tunnel: PubNub finds out by the heartbeat."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One act of one person."""

    at: float
    """Seconds, on the clock that `Schedule` was given."""
    user: str
    act: Act


@dataclass(frozen=True)
class Habits:
    """How demo people live. Times in seconds."""

    share: float = 0.3
    """Of all people, how many are present on average."""
    median: float = 1200.0
    """Half of the visits are shorter."""
    spread: float = 1.0
    """Sigma of the logarithm: 1 means that one visit in six is shorter than 0.37 of the median."""
    flap_every: float = 2700.0
    """Mean time between two flaps of someone present."""
    debounce: float = 5.0
    """What a flap stays below."""
    silent: float = 0.05
    """The share of visits that end without a word."""
    arrival_rate: float = 60.0
    """Arrivals a second at the very beginning, when everybody who is present comes."""

    @property
    def visit(self) -> float:
        """Mean length of a visit."""
        return self.median * math.exp(self.spread**2 / 2)

    @property
    def pause(self) -> float:
        """Mean time between two visits."""
        return self.visit * (1 - self.share) / self.share


class Schedule:
    """The steps of all people, in order of time."""

    def __init__(self, people: Sequence[str], habits: Habits, rng: random.Random) -> None:
        self._habits = habits
        self._rng = rng
        self._people = list(people)
        self._steps: list[Step] = []
        self._first: set[str] = set()
        """Whose visit had begun before the start."""
        self._ends: dict[str, float] = {}
        self._usual = round(len(self._people) * habits.share)
        self.max_present = math.ceil(self._usual * MAX_PRESENT_SHARE) + 1
        """How many are present at once, at most."""

    @property
    def present(self) -> Iterable[str]:
        """Who is in a visit, those who just dropped included."""
        return self._ends.keys()

    @property
    def next_at(self) -> float:
        """When something happens next; infinity when nothing will."""
        return self._steps[0].at if self._steps else math.inf

    def start(self, now: float) -> None:
        """Those who are in a visit now come at the first pace; the others stay away for the rest of their pause."""
        shuffled = self._rng.sample(self._people, len(self._people))
        for place, user in enumerate(shuffled):
            if place < self._usual:
                self._plan(now + place / self._habits.arrival_rate, user, Act.COME)
            else:
                self._plan(now + self._exponential(self._habits.pause), user, Act.COME)
        self._first = set(shuffled[: self._usual])

    def due(self, now: float) -> list[Step]:
        """The steps that are due, in order. What follows one is reckoned from `now`, so nobody acts twice at once
        after a computer that slept."""
        steps = []
        while self._steps and self._steps[0].at <= now:
            step = heapq.heappop(self._steps)
            if step.act is Act.COME and len(self._ends) >= self.max_present:
                self._plan(now + self._exponential(FULL_RETRY_SECONDS), step.user, Act.COME)
                continue
            steps.append(step)
            self._follow(step, now)
        return steps

    def _follow(self, step: Step, now: float) -> None:
        user = step.user
        match step.act:
            case Act.COME:
                self._ends[user] = now + self._length(user)
                self._visit(now, user)
            case Act.DROP:
                longest = self._habits.debounce * MAX_FLAP_SHARE
                self._plan(now + self._rng.uniform(longest / 10, longest), user, Act.BACK)
            case Act.BACK:
                self._visit(now, user)
            case Act.GO | Act.VANISH:
                del self._ends[user]
                away = self._habits.debounce + self._exponential(self._habits.pause)
                self._plan(now + away, user, Act.COME)

    def _visit(self, now: float, user: str) -> None:
        """Plans what ends this stretch of a visit: a flap, or its end."""
        end, flap = self._ends[user], now + self._exponential(self._habits.flap_every)
        if flap < end - self._habits.debounce:
            self._plan(flap, user, Act.DROP)
        else:
            last = Act.VANISH if self._rng.random() < self._habits.silent else Act.GO
            self._plan(max(end, math.nextafter(now, math.inf)), user, last)

    def _length(self, user: str) -> float:
        """Of a visit; at the start, of the rest of one. Longer visits are met more often, hence the other mean."""
        mean, spread = math.log(self._habits.median), self._habits.spread
        if user in self._first:
            self._first.discard(user)
            whole = self._rng.lognormvariate(mean + spread**2, spread)
            return whole * self._rng.random()
        return self._rng.lognormvariate(mean, spread)

    def _exponential(self, mean: float) -> float:
        return max(self._rng.expovariate(1 / mean), 1e-3)

    def _plan(self, at: float, user: str, act: Act) -> None:
        heapq.heappush(self._steps, Step(at, user, act))
