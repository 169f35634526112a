"""Latency and throughput of calls, in closed and open loops.

The warm-up is not counted. In a closed loop a slow response delays the next call. In an open loop calls arrive at a fixed
rate and waiting counts, as for the users of a service.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hdrh.histogram import HdrHistogram

Call = Callable[[int], Awaitable[object]]
"""Makes the n-th call."""
MAX_LATENCY_MICROSECONDS = 600_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Latencies in milliseconds, and the rate of calls."""

    calls: int
    p50: float
    p95: float
    p99: float
    most: float
    rate: float
    """Calls a second, all clients together."""


class Stopwatch:
    """A histogram of latencies with three digits."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, MAX_LATENCY_MICROSECONDS, 3)
        self._began = time.perf_counter()

    def took(self, seconds: float) -> None:
        """Record one call."""
        self._histogram.record_value(min(MAX_LATENCY_MICROSECONDS, max(1, round(seconds * 1e6))))

    def timing(self) -> Timing:
        """The figures since the stopwatch was created."""
        h, calls = self._histogram, self._histogram.get_total_count()
        p50, p95, p99 = (h.get_value_at_percentile(share) / 1e3 for share in (50, 95, 99))
        rate = calls / (time.perf_counter() - self._began)
        return Timing(calls, p50, p95, p99, h.get_max_value() / 1e3, round(rate, 1))


async def one_by_one(call: Call, calls: int, warm: int = 0) -> Timing:
    """A closed loop with one caller."""
    return await at_once(call, calls, 1, warm)


async def at_once(call: Call, calls: int, clients: int, warm: int = 0) -> Timing:
    """A closed loop with `clients` callers. Call numbers continue after those of the warm-up."""
    await _clients(call, iter(range(warm)), clients, Stopwatch())
    watch = Stopwatch()
    await _clients(call, iter(range(warm, warm + calls)), clients, watch)
    return watch.timing()


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a warm-up."""

    calls: str
    """Numbers of its calls, from 1."""
    p50: float
    p99: float
    """Milliseconds."""


ROUND_CALLS = 200
STEADY_SHARE = 0.05


async def until_steady(call: Call, max_seconds: float = 20.0) -> list[Round]:
    """Warm up a new server: the first call, then rounds until the last three medians differ by at most `STEADY_SHARE`.

    Ends after `max_seconds` in any case. The last round has the steady latency.
    """
    rounds, number, began = [], 0, time.perf_counter()
    for size in itertools.chain((1, ROUND_CALLS - 1), itertools.repeat(ROUND_CALLS)):
        watch = Stopwatch()
        await _clients(call, iter(range(number, number + size)), 1, watch)
        timing = watch.timing()
        rounds.append(Round(f"{number + 1}-{number + size}" if size > 1 else "1", timing.p50, timing.p99))
        number += size
        last = [one.p50 for one in rounds[-3:]]
        if len(rounds) > 4 and max(last) - min(last) <= STEADY_SHARE * last[-1]:
            break
        if time.perf_counter() - began > max_seconds:
            break
    return rounds


async def _clients(call: Call, numbers: object, clients: int, watch: Stopwatch) -> None:
    async def client() -> None:
        for number in numbers:  # type: ignore[attr-defined]
            began = time.perf_counter()
            await call(number)
            watch.took(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


OnDone = Callable[[int, float], None]
"""Called with the number of a call and its duration in seconds."""


async def at_rate(call: Call, rate: float, seconds: float, took: OnDone | None = None) -> Timing:
    """An open loop: calls begin `rate` times a second, whether or not earlier ones are done. A late begin counts."""
    watch = Stopwatch()
    began = time.perf_counter()

    async def arrival(number: int) -> None:
        due = began + number / rate
        await call(number)
        late = time.perf_counter() - due
        watch.took(late)
        if took:
            took(number, late)

    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(arrival(number))
    return watch.timing()


def machine() -> dict[str, object]:
    """The machine of a run, and its load before."""
    cpus = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": cpus[0] if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "memoryGiB": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "loadBefore": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
