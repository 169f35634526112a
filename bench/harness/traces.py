"""Who comes and goes when: churn that is made up from a seed, written to a file, and read again. Pure but for files.

A trace is CSV: a line of ``#`` and JSON that says how it was made, then one line a turn: seconds from the beginning,
``+`` for coming or ``-`` for going, the user. So a run can be repeated to the turn, here or against something else.
``python -m bench.harness.traces`` writes the trace of some hours.
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
"""How much more than the mean is online at the busiest hour, and less at the quietest."""


@dataclass(frozen=True, slots=True, order=True)
class Transition:
    """One user comes or goes."""

    at: float
    """Seconds from the beginning."""
    user: str
    joins: bool


@dataclass(frozen=True, slots=True)
class Visits:
    """How long people stay. Seconds."""

    median: float = 1200.0
    spread: float = 1.0
    """Sigma of the logarithm."""

    @property
    def mean(self) -> float:
        """Of a log-normal."""
        return self.median * math.exp(self.spread**2 / 2)

    def length(self, chance: random.Random) -> float:
        """One visit's."""
        return chance.lognormvariate(math.log(self.median), self.spread)


def curve(second_of_day: float) -> float:
    """How busy a moment is beside the day's mean, which is 1."""
    return 1.0 + SWING * math.cos(2 * math.pi * (second_of_day / DAY_SECONDS - BUSIEST_HOUR / 24))


def churn(
    rate: float, seconds: float, online: deque[str], offline: deque[str], chance: random.Random
) -> Iterator[Transition]:
    """Turns at a steady rate, independent of each other (Poisson); as many come as go, so that the share online stays.

    Whoever did neither for longest has the turn, so nobody is back within a hold. Both queues are moved along.
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
    """Visits of log-normal lengths along the daily curve; `share` of all people are online on the day's mean.

    `begins` is the second of the day. Those who are there at the beginning come at 0; their visits end as if they had
    begun before (the length that remains of a visit met at random).
    """
    visits = Visits()
    usual = share * len(users)
    offline = deque(chance.sample(users, len(users)))
    ends: list[tuple[float, str]] = []
    for _ in range(min(len(offline), round(usual * curve(begins)))):
        user = offline.popleft()
        heapq.heappush(ends, (_remains(visits, chance), user))
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


def _remains(visits: Visits, chance: random.Random) -> float:
    """What is left of a visit that someone who looks in at random meets: long ones are met more often."""
    log = math.log(visits.median) + visits.spread**2
    return chance.lognormvariate(log, visits.spread) * chance.random()


def write(path: Path, header: Mapping[str, Any], transitions: Iterable[Transition]) -> int:
    """Records; returns the number of turns."""
    number = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(f"#{json.dumps(header)}\n")
        for transition in transitions:
            file.write(f"{transition.at:.3f},{'+' if transition.joins else '-'},{transition.user}\n")
            number += 1
    return number


def read(path: Path) -> Iterator[Transition]:
    """Replays. Raises `ValueError` where a line is not one of a trace."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                at, sign, user = line.rstrip("\n").split(",")
                if sign not in {"+", "-"}:
                    raise ValueError(f"not a turn: {line!r}")
                yield Transition(float(at), user, sign == "+")


def header(path: Path) -> dict[str, Any]:
    """How a trace was made."""
    with path.open(encoding="utf-8") as file:
        return dict(json.loads(file.readline().removeprefix("#")))


def main(
    out: Annotated[Path, typer.Argument(help="Where the trace goes.")],
    users: Annotated[int, typer.Option(help="Of the generator's people.")] = 20_000,
    hours: Annotated[float, typer.Option(help="How long.")] = 1.0,
    begins: Annotated[float, typer.Option(help="The hour of the day it begins at.")] = 19.0,
    share: Annotated[float, typer.Option(help="Online on the day's mean.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Of the trace.")] = 1,
) -> None:
    """Write a trace of a part of a day."""
    header_values = {"people": users, "hours": hours, "begins": begins, "share": share, "seed": seed}
    transitions = day(ids(users), share, hours * 3600, begins * 3600, random.Random(seed))
    typer.echo(f"{write(out, header_values, transitions):,} turns in {out}")


if __name__ == "__main__":
    typer.run(main)
