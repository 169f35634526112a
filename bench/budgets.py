"""Performance budgets, and where each finds its figure in the files of the benchmarks. Pure.

A budget without a figure is not measured; it never counts as met.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
"""The file of one benchmark."""
Find = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit."""

    key: str
    """Its key in `notes.toml`."""
    what: str
    limit: float
    unit: str
    file: str
    """The benchmark whose figures decide: its file without the ending."""
    find: Find
    at_most: bool = True

    def text(self) -> str:
        """The limit as text."""
        return f"{'<=' if self.at_most else '>='} {self.limit:,g} {self.unit}"

    def is_met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """A budget with its figure, None where there is none."""

    budget: Budget
    value: float | None

    @property
    def verdict(self) -> str:
        """met, missed, or not measured."""
        if self.value is None:
            return "not measured"
        return "met" if self.budget.is_met(self.value) else "missed"


def rows(figures: Figures) -> Sequence[Mapping[str, Any]]:
    """The results of a file."""
    return figures if isinstance(figures, list) else list(figures.get("results", []))


def row(pattern: str, key: str = "value", worst: Callable[[Iterator[float]], float] | None = None) -> Find:
    """Find the value of the first result whose name matches, or the `worst` of all that match."""

    def find(figures: Figures) -> float | None:
        found = [one for one in rows(figures) if re.search(pattern, str(one.get("what", "")))]
        values = [float(one[key]) for one in found if one.get(key) is not None]
        if not values:
            return None
        return worst(iter(values)) if worst else values[0]

    return find


def question(names: str | tuple[str, ...], key: str) -> Find:
    """Find a figure of a graph query on Neo4j. Further names are those in files of earlier runs."""
    wanted = (names,) if isinstance(names, str) else names

    def find(figures: Figures) -> float | None:
        for one in rows(figures):
            if one.get("question") in wanted:
                return float(one["Neo4j"][key])
        return None

    return find


def member(name: str) -> Find:
    """Find a top-level member of a file."""
    return lambda figures: figures.get(name) if isinstance(figures, Mapping) else None


def fastest_passed(*variants: str) -> Find:
    """Find the fastest step that any of these variants of the comparison with peers passed, in transitions a second."""

    def find(figures: Figures) -> float | None:
        parts = figures.get("parts", {})
        steps = [step for variant in variants for step in parts.get(variant, {}).get("steps", ())]
        return max((step["turnsPerSecond"] for step in steps if step["passed"]), default=None)

    return find


BUDGETS = (
    Budget(
        "commit",
        "commit and read, batches of 500, 20,000 users",
        2000,
        "users/s",
        "graph",
        question(("commit and read 500 users", "settle and tell 500 users"), "perSecond"),
        at_most=False,
    ),
    Budget(
        "commit-large",
        "the same at 500,000 users",
        1500,
        "users/s",
        "growth-large",
        row("^500,000 people: (commit|settle), then read"),
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
        "server CPU without the origin, 1 s window, end to end",
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
        "sustained transitions a second, everything on one machine, 1 s window",
        400,
        "1/s",
        "whole",
        row("transitions/s sustained.*window 1 s"),
        at_most=False,
    ),
    Budget(
        "transitions-peers",
        "the same with the 3,000 users of the comparison with ejabberd, 900 of them online",
        400,
        "1/s",
        "peers",
        fastest_passed("window", "limit"),
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
        "900 users drop and return: time until every view is right, without debounce time and window",
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
        "suggestions-cached",
        "suggestions, cached, p95",
        10,
        "ms",
        "graph",
        question(("suggestions, cached", "suggestions, kept"), "p95"),
    ),
    Budget(
        "suggestions-first",
        "suggestions, first call, exact, 20,000 users, p95",
        350,
        "ms",
        "graph",
        question("suggestions, first call", "p95"),
    ),
    Budget(
        "suggestions-large",
        "the same at 500,000 users, p95",
        800,
        "ms",
        "growth-large",
        row("^500,000 people: suggestions, first call, p95"),
    ),
    Budget(
        "publish",
        "publish rate over that of the official SDK's fastest handler",
        10,
        "times",
        "publish",
        member("timesTheSdk"),
        at_most=False,
    ),
    Budget(
        "acked",
        "notification to acknowledged publish, one process, stub origin",
        80_000,
        "recipients/s",
        "bridge",
        row("(notification to acknowledged|news to acked) publish, window 0 s"),
        at_most=False,
    ),
    Budget(
        "lateness",
        "change to inbox beyond debounce time and batch window, half load, p99",
        500,
        "ms",
        "bridge",
        row("change to inbox(, window 1 s aside,)? at 50% load.*p99"),
    ),
    Budget(
        "memory",
        "memory of a bridge for each online user it owns",
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


def judge(files: Mapping[str, Figures]) -> list[Judgement]:
    """Every budget with its figure."""
    found = []
    for budget in BUDGETS:
        figures = files.get(budget.file)
        found.append(Judgement(budget, None if figures is None else budget.find(figures)))
    return found
