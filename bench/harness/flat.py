"""Leak detection: whether the resources of a process stay flat over a run. Pure.

The first part of a run is the warm-up: pools open, caches and message histories fill up to their limits, the JVM touches its
heap. Over the rest, the slope of the least-squares line must stay below a bound. The bound of memory grows with the
process; that of sockets and files allows for the random churn of the clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

WARM_UP_SHARE = 1 / 3
"""Share of the run that is warm-up."""
MEMORY_SHARE, MIN_MEMORY_BOUND_MIB = 0.05, 6.0
"""Growth an hour: 5 % of the process, at least 6 MiB."""
COUNT_SHARE, MIN_COUNT_BOUND = 0.20, 10.0
"""Growth an hour: 20 % of the median, at least 10."""
MEASURES = ("rss", "sockets", "files", "threads")


@dataclass(frozen=True, slots=True)
class Trend:
    """One measure of one process over the run: MiB for memory, a count otherwise."""

    process: str
    measure: str
    usual: float
    """Median after the warm-up."""
    highest: float
    slope: float
    """Growth an hour after the warm-up."""
    bound: float
    """Maximum of the slope."""

    @property
    def flat(self) -> bool:
        return self.slope <= self.bound


def judge(samples: Sequence[Mapping[str, Any]]) -> list[Trend]:
    """The trend of every measure of every process. Raises `ValueError` for fewer than four samples after the warm-up."""
    last = samples[-1]["at"] if samples else 0.0
    rest = [one for one in samples if one["at"] >= last * WARM_UP_SHARE]
    if len(rest) < 4:
        raise ValueError(f"{len(rest)} samples after the warm-up are too few")
    names = rest[-1]["processes"]
    return [_trend(name, measure, rest) for measure in MEASURES for name in names]


def _trend(process: str, measure: str, samples: Sequence[Mapping[str, Any]]) -> Trend:
    values = [float(one["processes"][process][measure]) for one in samples]
    hours = [one["at"] / 3600 for one in samples]
    usual = median(values)
    share, least = (
        (MEMORY_SHARE, MIN_MEMORY_BOUND_MIB) if measure == "rss" else (COUNT_SHARE, MIN_COUNT_BOUND)
    )
    return Trend(
        process,
        measure,
        usual,
        max(values),
        round(slope(hours, values), 2),
        round(max(usual * share, least), 2),
    )


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Slope of the least-squares line; 0 where all x are equal."""
    x_mean, y_mean = fmean(xs), fmean(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    if not spread:
        return 0.0
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread


def cores(samples: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean CPU cores used by each process, start included."""
    last = samples[-1]
    return {name: round(one["cpu"] / max(last["at"], 1.0), 3) for name, one in last["processes"].items()}
