"""Driver of one system through the comparison: all users connect, transitions at rising rates, two storms.

Independent of the protocol. What must be equal for all systems is here: the trace, the recipients of a change, the limits
of a step, and the concurrency of a storm.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.harness.live_users import retry_delay
from bench.peers.arrivals import Freshness, recipients
from bench.peers.churn import Churn, Transition
from bench.peers.friends import Friends
from bench.peers.system import System
from bench.peers.views import Views

MAX_P99_MILLISECONDS = 1000.0
"""A step fails when its p99, without debounce time and window, is above this, or when less than `MIN_ARRIVED_SHARE` arrived."""
MIN_ARRIVED_SHARE = 0.95
MIN_STAY_SECONDS = 1.0
"""How long after debounce time and window a friend must still be online to be a recipient."""
WAIT_SECONDS = 2.0
"""How long after debounce time and window a step waits for deliveries."""
MAX_CONCURRENT_CALLS = 300
MAX_REASON_CHARACTERS = 90
"""Length of a recorded error message."""
STORM_TIMEOUT_SECONDS = 60.0
REST_SECONDS = 3.0
SEED = 11

Report = Callable[[str], None]
Call = Callable[[], Awaitable[None]]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """The programme for one system. `rates` are transitions a second."""

    rates: tuple[float, ...]
    warm_s: float = 7.0
    measure_s: float = 6.0
    storms: bool = True


class Show:
    """One system under test, and the trace."""

    def __init__(self, *, system: System, friends: Friends, report: Report) -> None:
        self._system, self._friends, self._report = system, friends, report
        self._churn = Churn(users=len(friends.of), online=friends.online, seed=SEED)
        self._rejected: Counter[str] = Counter()
        self._latest_transition: dict[int, int] = {}

    async def run(self, plan: Plan) -> Figures:
        """Run the whole programme."""
        system = self._system
        before = system.memory_kib()
        arrival = await self._until_views_are_right("all users connect", self._all(self._joins(fresh=True)))
        await asyncio.sleep(system.debounce_seconds + REST_SECONDS)
        memory_kib = {"afterArrival": self._each_kib(before)}
        steps = await self._rising_rates(plan)
        memory_kib["afterTurns"] = self._each_kib(before)
        storms = [arrival] + (await self._storms() if plan.storms else [])
        return {
            "name": system.name,
            "holdSeconds": system.debounce_seconds,
            "windowSeconds": system.window_seconds,
            "steps": steps,
            "storms": storms,
            "memoryBeforeMiB": {name: round(kib / 1024, 1) for name, kib in before.items()},
            "memoryKiBPerOnlineUser": memory_kib,
            "refused": dict(self._rejected),
        }

    def _each_kib(self, before: Mapping[str, float]) -> dict[str, float]:
        online = len(self._churn.online)
        return {
            name: round((kib - before[name]) / online, 1) for name, kib in self._system.memory_kib().items()
        }

    async def _rising_rates(self, plan: Plan) -> list[Figures]:
        steps: list[Figures] = []
        for rate in plan.rates:
            step = await self._step(rate, plan)
            steps.append(step)
            if not step["passed"]:
                break
        return steps

    async def _step(self, rate: float, plan: Plan) -> Figures:
        system, begin = self._system, time.monotonic() + 0.1
        await self._make_all(self._churn.at_rate(rate, plan.warm_s, begin))
        begin += plan.warm_s
        await asyncio.sleep(max(0.0, begin - time.monotonic()))
        cpu_seconds, driver, began = system.cpu_seconds(), time.process_time(), time.monotonic()
        transitions = self._churn.at_rate(rate, plan.measure_s, begin)
        lag = await self._make_all(transitions)
        await asyncio.sleep(max(0.0, begin + plan.measure_s - time.monotonic()))
        took, now = time.monotonic() - began, system.cpu_seconds()
        cpu = {name: now[name] - before for name, before in cpu_seconds.items()}
        driver = time.process_time() - driver
        delivered = system.arrivals.deliveries(began, began + took)
        aside = system.debounce_seconds + system.window_seconds
        await asyncio.sleep(aside + WAIT_SECONDS)
        fresh = system.arrivals.freshness(
            transitions,
            [
                recipients(self._churn, self._friends.of, transition, aside + MIN_STAY_SECONDS)
                for transition in transitions
            ],
        )
        step = self._figures(fresh, delivered, cpu, took) | {
            "turnsPerSecond": rate,
            "driverCores": round(driver / took, 2),
            "driverLagMs": round(lag * 1000),
        }
        self._report(f"{system.name}: {summary(step)}")
        return step

    def _figures(self, fresh: Freshness, delivered: int, cpu: Mapping[str, float], took: float) -> Figures:
        system = self._system
        aside = 1000 * (system.debounce_seconds + system.window_seconds)
        own = sum(seconds for name, seconds in cpu.items() if name != "origin")
        return {
            "passed": fresh.p99 - aside <= MAX_P99_MILLISECONDS and fresh.arrived >= MIN_ARRIVED_SHARE,
            "deliveriesPerSecond": round(delivered / took),
            "owed": fresh.recipients,
            "arrived": round(fresh.arrived, 4),
            "p50Ms": _ms(fresh.p50),
            "p99Ms": _ms(fresh.p99),
            "p50BeyondHoldMs": _ms(fresh.p50 - 1000 * system.debounce_seconds),
            "p99BeyondHoldMs": _ms(fresh.p99 - 1000 * system.debounce_seconds),
            "p99BeyondHoldAndWindowMs": _ms(fresh.p99 - aside),
            "cores": {name: round(seconds / took, 3) for name, seconds in cpu.items()},
            "cpuMsPer1000": _per_thousand(own, delivered),
            "cpuMsPer1000WithOrigin": _per_thousand(sum(cpu.values()), delivered),
            "deliveriesPerCpuSecond": round(delivered / own) if own else None,
            "deliveriesPerCpuSecondWithOrigin": round(delivered / sum(cpu.values())) if own else None,
        }

    async def _make_all(self, transitions: Iterable[Transition]) -> float:
        """Begin each transition when it is due; returns the largest delay in seconds."""
        latest = 0.0
        async with asyncio.TaskGroup() as group:
            for transition in transitions:
                if (wait := transition.at - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                latest = max(latest, time.monotonic() - transition.at)
                self._latest_transition[transition.user] = transition.number
                group.create_task(self._make(transition))
        return latest

    async def _make(self, transition: Transition) -> None:
        await self._persist(
            lambda: self._system.make(transition),
            lambda: self._latest_transition[transition.user] == transition.number,
        )

    async def _persist(self, call: Call, wanted: Callable[[], bool] = lambda: True) -> None:
        """Repeat a call until it succeeds or is no longer wanted, with the clients' retry delay."""
        until = time.monotonic() + STORM_TIMEOUT_SECONDS
        while wanted() and time.monotonic() < until:
            try:
                return await call()
            except (OSError, TimeoutError) as problem:
                self._rejected[f"{type(problem).__name__}: {problem}"[:MAX_REASON_CHARACTERS]] += 1
                wait = retry_delay(problem)
            await asyncio.sleep(wait)
        return None

    async def _storms(self) -> list[Figures]:
        online = self._churn.online
        self._system.drop(online)
        blip = await self._until_views_are_right(
            "all connections break, all reconnect at once",
            self._all(self._joins(fresh=False)),
            debounced=False,
        )
        await self._all([partial(self._system.leave, one) for one in online])
        waited = await self._until_all_offline()
        again = await self._until_views_are_right(
            "all left and friends were notified, all return at once", self._all(self._joins(fresh=True))
        )
        return [blip, again | {"secondsUntilGone": waited}]

    def _joins(self, fresh: bool) -> list[Call]:
        return [partial(self._system.join, one, fresh=fresh) for one in self._churn.online]

    async def _all(self, calls: Iterable[Call]) -> None:
        slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)

        async def one(call: Call) -> None:
            async with slots:
                await self._persist(call)

        await asyncio.gather(*map(one, calls))

    async def _until_all_offline(self) -> float:
        began = time.monotonic()
        await asyncio.sleep(REST_SECONDS)
        while await self._system.still_online() and time.monotonic() - began < STORM_TIMEOUT_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        return round(time.monotonic() - began, 1)

    async def _until_views_are_right(
        self, what: str, coming: Awaitable[None], debounced: bool = True
    ) -> Figures:
        """`debounced`: whether the connects change presence, which is committed after the debounce time."""
        system, online = self._system, set(self._churn.online)
        views = system.views = Views({one: self._friends.of[one] & online for one in online})
        cpu_seconds, began = system.cpu_seconds(), time.monotonic()
        await coming
        connected = time.monotonic() - began
        while views.wrong and time.monotonic() - began < STORM_TIMEOUT_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(
            system.debounce_seconds + system.window_seconds + REST_SECONDS
        )  # a view that was right may become wrong again
        cpu = {name: now - cpu_seconds[name] for name, now in system.cpu_seconds().items()}
        right = max(views.all_right_at - began, 0.0)
        system.views = None
        aside = system.debounce_seconds if debounced else 0.0
        storm = {
            "what": what,
            "people": len(online),
            "connectedSeconds": round(connected, 2),
            "allRightSeconds": round(right, 2),
            "allRightBeyondHoldSeconds": round(max(right - aside, 0.0), 2),
            "wrongViews": views.wrong,
            "cpuSeconds": {name: round(spent, 2) for name, spent in cpu.items()},
        }
        self._report(f"{system.name}: {what}: all views right after {right:.2f} s, {views.wrong} wrong")
        if self._rejected:
            self._report(f"{system.name}: rejected so far, and retried: {dict(self._rejected)}")
        return storm


def summary(step: Figures) -> str:
    """One step in a line."""
    return (
        f"{step['turnsPerSecond']:g} transitions/s, {step['deliveriesPerSecond']:,} deliveries/s, "
        f"p50 {step['p50Ms']} p99 {step['p99Ms']} ms (beyond the debounce time {step['p99BeyondHoldMs']}), "
        f"{step['arrived']:.1%} arrived, {step['cpuMsPer1000']} CPU ms per 1,000 "
        f"({step['cpuMsPer1000WithOrigin']} with origin), cores {step['cores']}, "
        f"driver {step['driverCores']}, lag {step['driverLagMs']} ms"
    )


def _ms(value: float) -> float | None:
    """None for infinity, which JSON does not have."""
    return round(value, 1) if value != float("inf") else None


def _per_thousand(seconds: float, delivered: int) -> float | None:
    return round(1e6 * seconds / delivered, 2) if delivered else None
