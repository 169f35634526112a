"""Churn traces: joins and leaves generated from a seed, written to a file, and read again. Pure except for files.

A trace is CSV: a line of ``#`` and JSON that says how it was generated, then one line a transition: seconds from the
beginning, ``+`` for a join or ``-`` for a leave, the user. So a run can be repeated exactly, here or against another
system. ``python -m bench.harness.traces`` writes the trace of some hours.
"""

from __future__ import annotations

import heapq
import json
import math
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from local_stack.data.generate import ids

DAY_SECONDS = 86_400.0
BUSIEST_HOUR = 20.5
SWING = 0.6
"""Relative difference from the mean number of users online at the busiest and at the quietest hour."""


@dataclass(frozen=True, slots=True, order=True)
class Transition:
    """One user joins or leaves."""

    at: float
    """Seconds from the beginning."""
    user: str
    joins: bool


@dataclass(frozen=True, slots=True)
class Visits:
    """Lengths of visits in seconds, log-normal."""

    median: float = 1200.0
    spread: float = 1.0
    """Sigma of the logarithm."""

    @property
    def mean(self) -> float:
        """Mean of the log-normal distribution."""
        return self.median * math.exp(self.spread**2 / 2)

    def length(self, chance: random.Random) -> float:
        """The length of one visit."""
        return chance.lognormvariate(math.log(self.median), self.spread)


def curve(second_of_day: float) -> float:
    """Load at a time of day relative to the mean of the day, which is 1."""
    return 1.0 + SWING * math.cos(2 * math.pi * (second_of_day / DAY_SECONDS - BUSIEST_HOUR / 24))


def churn(
    rate: float, seconds: float, online: deque[str], offline: deque[str], chance: random.Random
) -> Iterator[Transition]:
    """Transitions at a steady rate, independent of each other (Poisson). Joins and leaves alternate, so the share online stays.

    The user whose last transition is oldest comes next, so no user returns within the debounce time. Updates both queues.
    """
    at, joins = chance.expovariate(rate), True
    while at < seconds:
        left, joined = (offline, online) if joins else (online, offline)
        user = left.popleft()
        joined.append(user)
        yield Transition(at, user, joins)
        at, joins = at + chance.expovariate(rate), not joins


def day(
    users: Sequence[str], share: float, seconds: float, begins: float, chance: random.Random
) -> Iterator[Transition]:
    """Visits along the daily curve; `share` is the mean share of users online.

    `begins` is the second of the day. Users who are online at the beginning join at 0, and their visits end as if they had
    begun earlier (the residual length of a random visit).
    """
    visits = Visits()
    usual = share * len(users)
    offline = deque(chance.sample(users, len(users)))
    ends: list[tuple[float, str]] = []
    for _ in range(min(len(offline), round(usual * curve(begins)))):
        user = offline.popleft()
        heapq.heappush(ends, (_residual(visits, chance), user))
        yield Transition(0.0, user, True)
    at, most = 0.0, usual * (1 + SWING) / visits.mean
    while True:
        at += chance.expovariate(most)
        while ends and ends[0][0] < min(at, seconds):
            end, user = heapq.heappop(ends)
            offline.append(user)
            yield Transition(end, user, False)
        if at >= seconds:
            return
        if offline and chance.random() * (1 + SWING) < curve(begins + at):
            user = offline.popleft()
            heapq.heappush(ends, (at + visits.length(chance), user))
            yield Transition(at, user, True)


def _residual(visits: Visits, chance: random.Random) -> float:
    """The residual length of a visit observed at a random time; long visits are observed more often."""
    log = math.log(visits.median) + visits.spread**2
    return chance.lognormvariate(log, visits.spread) * chance.random()


def write(path: Path, header: Mapping[str, Any], transitions: Iterable[Transition]) -> int:
    """Write a trace; returns the number of transitions."""
    number = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(f"#{json.dumps(header)}\n")
        for transition in transitions:
            file.write(f"{transition.at:.3f},{'+' if transition.joins else '-'},{transition.user}\n")
            number += 1
    return number


def read(path: Path) -> Iterator[Transition]:
    """Read the transitions of a trace. Raises `ValueError` for a malformed line."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                at, sign, user = line.rstrip("\n").split(",")
                if sign not in {"+", "-"}:
                    raise ValueError(f"not a transition: {line!r}")
                yield Transition(float(at), user, sign == "+")


def header(path: Path) -> dict[str, Any]:
    """The parameters that generated a trace."""
    with path.open(encoding="utf-8") as file:
        return dict(json.loads(file.readline().removeprefix("#")))


def main(
    out: Annotated[Path, typer.Argument(help="File for the trace.")],
    people: Annotated[int, typer.Option(help="How many users.")] = 20_000,
    hours: Annotated[float, typer.Option(help="Length in hours.")] = 1.0,
    begins: Annotated[float, typer.Option(help="Hour of the day at the beginning.")] = 19.0,
    share: Annotated[float, typer.Option(help="Mean share of users online.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Seed of the trace.")] = 1,
) -> None:
    """Write a trace of a part of a day."""
    header_values = {"people": people, "hours": hours, "begins": begins, "share": share, "seed": seed}
    transitions = day(ids(people), share, hours * 3600, begins * 3600, random.Random(seed))
    typer.echo(f"{write(out, header_values, transitions):,} transitions in {out}")


if __name__ == "__main__":
    typer.run(main)
