"""Schedule of the demo users: who connects, disconnects or flaps, and when.

Pure: time and the random generator are arguments. A visit's length is log-normal, as measured lengths of app sessions
are; the pause until the next one is exponential. The initial state is drawn from the stationary distribution, so the
share of present users is right from the start. During a visit a user may flap: disconnect and return before the
debounce deadline.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_FLAP_SHARE = 0.8
"""Longest flap as a share of the debounce time: a busy computer must not turn a flap into a real absence."""
MAX_PRESENT_SHARE = 1.25
"""Most users present at once, as a share of the usual number; further arrivals are postponed."""
FULL_RETRY_SECONDS = 60.0
"""Mean delay of an arrival that is postponed."""


class Act(StrEnum):
    """One transition of a user."""

    COME = "come"
    DROP = "drop"
    """Leaves, and returns within the debounce time (the first half of a flap)."""
    BACK = "back"
    GO = "go"
    """Ends the visit with a leave."""
    VANISH = "vanish"
    """Ends the visit without a leave, as a phone in a tunnel: PubNub notices by the missing heartbeat."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One transition of one user."""

    at: float
    """Seconds, on the clock of `Schedule.start`."""
    user: str
    act: Act


@dataclass(frozen=True)
class Habits:
    """Parameters of the schedule. Times in seconds."""

    share: float = 0.3
    """Mean share of the users who are present."""
    median: float = 1200.0
    """Median length of a visit."""
    spread: float = 1.0
    """Sigma of the logarithm: 1 means that one visit in six is shorter than 0.37 of the median."""
    flap_every: float = 2700.0
    """Mean time between two flaps of a present user."""
    debounce: float = 5.0
    """Debounce time of the system; flaps are shorter, absences longer."""
    silent: float = 0.05
    """Share of the visits that end without a leave."""
    arrival_rate: float = 60.0
    """Arrivals a second at the start, until the usual number is present."""

    @property
    def visit(self) -> float:
        """Mean length of a visit."""
        return self.median * math.exp(self.spread**2 / 2)

    @property
    def pause(self) -> float:
        """Mean time between two visits."""
        return self.visit * (1 - self.share) / self.share


class Schedule:
    """The transitions of all users, in order of time."""

    def __init__(self, *, users: Sequence[str], habits: Habits, rng: random.Random) -> None:
        self._habits = habits
        self._rng = rng
        self._users = list(users)
        self._steps: list[Step] = []
        self._first: set[str] = set()
        """Users whose visit began before the start."""
        self._ends: dict[str, float] = {}
        self._usual = round(len(self._users) * habits.share)
        self.max_present = math.ceil(self._usual * MAX_PRESENT_SHARE) + 1
        """Limit of users present at once."""

    @property
    def present(self) -> Iterable[str]:
        """Users in a visit, including those in the middle of a flap."""
        return self._ends.keys()

    @property
    def next_at(self) -> float:
        """Time of the next transition; infinity when there is none."""
        return self._steps[0].at if self._steps else math.inf

    def start(self, now: float) -> None:
        """Schedule the initial arrivals at `arrival_rate`; the other users arrive after the rest of their pause."""
        shuffled = self._rng.sample(self._users, len(self._users))
        for place, user in enumerate(shuffled):
            if place < self._usual:
                self._plan(now + place / self._habits.arrival_rate, user, Act.COME)
            else:
                self._plan(now + self._exponential(self._habits.pause), user, Act.COME)
        self._first = set(shuffled[: self._usual])

    def due(self, now: float) -> list[Step]:
        """Remove and return the steps that are due, in order.

        Follow-up steps are scheduled from `now`, so a user never acts twice at once after the computer slept.
        """
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
        """Schedule what ends this part of a visit: a flap, or the end of the visit."""
        end, flap = self._ends[user], now + self._exponential(self._habits.flap_every)
        if flap < end - self._habits.debounce:
            self._plan(flap, user, Act.DROP)
        else:
            last = Act.VANISH if self._rng.random() < self._habits.silent else Act.GO
            self._plan(max(end, math.nextafter(now, math.inf)), user, last)

    def _length(self, user: str) -> float:
        """Length of a visit, or of the rest of one that began before the start.

        A visit in progress is more likely to be a long one, hence the shifted mean.
        """
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
