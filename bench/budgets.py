"""What was promised, and where in the figures to find whether it is kept. Pure: reads what the benchmarks wrote.

A budget without a figure is told as not measured, never as kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
"""One benchmark's file."""
Find = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Budget:
    """One promise."""

    key: str
    """By which the notes speak of it."""
    what: str
    limit: float
    unit: str
    file: str
    """The benchmark whose figures tell, without its ending."""
    find: Find
    at_most: bool = True

    def told(self) -> str:
        """The limit, for people."""
        return f"{'<=' if self.at_most else '>='} {self.limit:,g} {self.unit}"

    def kept(self, value: float) -> bool:
        """Whether a figure is within it."""
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget and its figure; None where there is none."""

    budget: Budget
    value: float | None

    @property
    def verdict(self) -> str:
        """One word or two."""
        if self.value is None:
            return "not measured"
        return "kept" if self.budget.kept(self.value) else "missed"


def rows(figures: Figures) -> Sequence[Mapping[str, Any]]:
    """The results of a file."""
    return figures if isinstance(figures, list) else list(figures.get("results", []))


def row(pattern: str, key: str = "value", worst: Callable[[Iterator[float]], float] | None = None) -> Find:
    """The figure of the first result that is called so, or the `worst` of all of them."""

    def find(figures: Figures) -> float | None:
        found = [one for one in rows(figures) if re.search(pattern, str(one.get("what", "")))]
        values = [float(one[key]) for one in found if one.get(key) is not None]
        if not values:
            return None
        return worst(iter(values)) if worst else values[0]

    return find


def question(name: str, key: str) -> Find:
    """A figure of the graph's benchmark on Neo4j."""

    def find(figures: Figures) -> float | None:
        for one in rows(figures):
            if one.get("question") == name:
                return float(one["Neo4j"][key])
        return None

    return find


def member(name: str) -> Find:
    """A figure that stands alone in its file."""
    return lambda figures: figures.get(name) if isinstance(figures, Mapping) else None


def borne(*variants: str) -> Find:
    """The fastest step that any of these variants of the comparison with peers passed."""

    def find(figures: Figures) -> float | None:
        parts = figures.get("parts", {})
        steps = [step for variant in variants for step in parts.get(variant, {}).get("steps", ())]
        return max((step["turnsPerSecond"] for step in steps if step["passed"]), default=None)

    return find


BUDGETS = (
    Budget(
        "settle",
        "settle, then read: users a second at 20,000 people, batches of 500",
        2000,
        "users/s",
        "graph",
        question("settle and tell 500 users", "perSecond"),
        at_most=False,
    ),
    Budget(
        "settle-large",
        "the same at 500,000 people",
        1500,
        "users/s",
        "growth-large",
        row("^500,000 people: settle, then read"),
        at_most=False,
    ),
    Budget(
        "sync",
        "`GET /v1/sync` of 1,000 friends at half load, p50",
        6,
        "ms",
        "mix",
        row("sync of 1,000 friends, half load, p50"),
    ),
    Budget("sync-p99", "the same, p99", 30, "ms", "mix", row("sync of 1,000 friends, half load, p99")),
    Budget(
        "delivery-cpu",
        "server CPU without the origin, 1 s window, through the wire",
        8,
        "CPU ms/1,000 deliveries",
        "whole",
        row("CPU of all servers but the origin.*window 1 s"),
    ),
    Budget(
        "delivery-cpu-sink",
        "the same, publishes into a sink",
        8,
        "CPU ms/1,000 deliveries",
        "whole-sink",
        row("CPU of all servers but the origin.*window 1 s"),
    ),
    Budget(
        "transitions",
        "transitions a second sustained with everything on the machine, 1 s window",
        400,
        "1/s",
        "whole",
        row("transitions/s sustained.*window 1 s"),
        at_most=False,
    ),
    Budget(
        "transitions-peers",
        "the same on the 3,000 people of the comparison with ejabberd, 900 of them online",
        400,
        "1/s",
        "peers",
        borne("window", "limit"),
        at_most=False,
    ),
    Budget(
        "transitions-sink",
        "the same, publishes into a sink",
        800,
        "1/s",
        "whole-sink",
        row("transitions/s sustained.*window 1 s"),
        at_most=False,
    ),
    Budget(
        "storm",
        "900 people drop and return: until every view is right, hold and window aside",
        3,
        "s",
        "storm",
        row("^drop, back at once", key="asideSeconds", worst=max),
    ),
    Budget(
        "page-100",
        "friends page of 100 over HTTP, one caller, p50",
        1.8,
        "ms",
        "mix",
        row("friends page of 100, one caller, p50"),
    ),
    Budget(
        "page-1000",
        "friends page of 1,000 over HTTP, one caller, p50",
        9,
        "ms",
        "mix",
        row("friends page of 1,000, one caller, p50"),
    ),
    Budget(
        "suggestions-kept",
        "suggestions, kept, p95",
        10,
        "ms",
        "graph",
        question("suggestions, kept", "p95"),
    ),
    Budget(
        "suggestions-first",
        "suggestions, first call, exact, 20,000 people, p95",
        350,
        "ms",
        "graph",
        question("suggestions, first call", "p95"),
    ),
    Budget(
        "suggestions-large",
        "the same at 500,000 people, p95",
        800,
        "ms",
        "growth-large",
        row("^500,000 people: suggestions, first call, p95"),
    ),
    Budget(
        "publish",
        "publish path beside the official SDK's fastest handler",
        10,
        "times",
        "publish",
        member("timesTheSdk"),
        at_most=False,
    ),
    Budget(
        "acked",
        "notice to acked publish, one process, stub origin",
        80_000,
        "recipients/s",
        "bridge",
        row("news to acked publish, window 0 s"),
        at_most=False,
    ),
    Budget(
        "lateness",
        "change to inbox beyond the hold, half load, coalescing window aside, p99",
        500,
        "ms",
        "bridge",
        row("change to inbox(, window 1 s aside,)? at 50% load.*p99"),
    ),
    Budget(
        "memory",
        "memory of a bridge for an online user it owns",
        400,
        "bytes",
        "bridge",
        row("memory of a user online"),
    ),
    Budget(
        "cold-start",
        "start of the whole stack to a working page, after the first download",
        20,
        "s",
        "whole",
        row("start of the whole stack"),
    ),
)


def judged(files: Mapping[str, Figures]) -> list[Judged]:
    """Every budget with its figure."""
    found = []
    for budget in BUDGETS:
        figures = files.get(budget.file)
        found.append(Judged(budget, None if figures is None else budget.find(figures)))
    return found
