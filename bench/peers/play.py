"""One system through the whole programme: everybody arrives, turns at rising rates, and two storms. Knows no protocol.

What is the same for all systems is here, so that it is the same: the trace, who is owed what, when a step has failed,
how many come at once in a storm.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.harness.live_users import patience
from bench.peers.arrivals import Freshness, owed
from bench.peers.churn import Churn, Turn
from bench.peers.friends import Friends
from bench.peers.system import System
from bench.peers.views import Views

LATEST_MS = 1000.0
"""A step has failed when its p99, hold and window aside, is above this, or when less than `LEAST` arrived."""
LEAST = 0.95
STAYS_S = 1.0
"""Beyond hold and window, how long a friend must stay to be owed a change."""
PATIENCE_S = 2.0
"""Beyond hold and window, how long is waited for what is owed."""
AT_ONCE = 300
REASON = 90
"""Letters of a refusal that are kept."""
STORM_S = 60.0
SETTLE_S = 3.0
SEED = 11

Said = Callable[[str], None]
Call = Callable[[], Awaitable[None]]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to do with a system. Seconds, and turns a second."""

    rates: tuple[float, ...]
    warm_s: float = 7.0
    measure_s: float = 6.0
    storms: bool = True


class Show:
    """One system under test and the trace."""

    def __init__(self, system: System, friends: Friends, said: Said) -> None:
        self._system, self._friends, self._said = system, friends, said
        self._churn = Churn(len(friends.of), friends.online, SEED)
        self._refused: Counter[str] = Counter()
        self._latest: dict[int, int] = {}

    async def run(self, plan: Plan) -> Figures:
        """All of it."""
        system = self._system
        before = system.memory()
        arrival = await self._until_right("everybody arrives", self._all(self._comes(fresh=True)))
        await asyncio.sleep(system.hold_s + SETTLE_S)
        memory = {"afterArrival": self._each_kib(before)}
        steps = await self._ladder(plan)
        memory["afterTurns"] = self._each_kib(before)
        storms = [arrival] + (await self._storms() if plan.storms else [])
        return {
            "name": system.name,
            "holdSeconds": system.hold_s,
            "windowSeconds": system.window_s,
            "steps": steps,
            "storms": storms,
            "memoryBeforeMiB": {name: round(kib / 1024, 1) for name, kib in before.items()},
            "memoryKiBPerOnlineUser": memory,
            "refused": dict(self._refused),
        }

    def _each_kib(self, before: Mapping[str, float]) -> dict[str, float]:
        online = len(self._churn.here)
        return {name: round((kib - before[name]) / online, 1) for name, kib in self._system.memory().items()}

    async def _ladder(self, plan: Plan) -> list[Figures]:
        steps: list[Figures] = []
        for rate in plan.rates:
            step = await self._step(rate, plan)
            steps.append(step)
            if not step["passed"]:
                break
        return steps

    async def _step(self, rate: float, plan: Plan) -> Figures:
        system, begin = self._system, time.monotonic() + 0.1
        await self._turns(self._churn.at_rate(rate, plan.warm_s, begin))
        begin += plan.warm_s
        await asyncio.sleep(max(0.0, begin - time.monotonic()))
        used, driver, began = system.used(), time.process_time(), time.monotonic()
        turns = self._churn.at_rate(rate, plan.measure_s, begin)
        lag = await self._turns(turns)
        await asyncio.sleep(max(0.0, begin + plan.measure_s - time.monotonic()))
        took, now = time.monotonic() - began, system.used()
        cpu = {name: now[name] - before for name, before in used.items()}
        driver = time.process_time() - driver
        delivered = system.arrivals.deliveries(began, began + took)
        aside = system.hold_s + system.window_s
        await asyncio.sleep(aside + PATIENCE_S)
        fresh = system.arrivals.freshness(
            turns, [owed(self._churn, self._friends.of, turn, aside + STAYS_S) for turn in turns]
        )
        step = self._figures(fresh, delivered, cpu, took) | {
            "turnsPerSecond": rate,
            "driverCores": round(driver / took, 2),
            "driverLagMs": round(lag * 1000),
        }
        self._said(f"{system.name}: {said(step)}")
        return step

    def _figures(self, fresh: Freshness, delivered: int, cpu: Mapping[str, float], took: float) -> Figures:
        system = self._system
        aside = 1000 * (system.hold_s + system.window_s)
        own = sum(used for name, used in cpu.items() if name != "origin")
        return {
            "passed": fresh.p99 - aside <= LATEST_MS and fresh.arrived >= LEAST,
            "deliveriesPerSecond": round(delivered / took),
            "owed": fresh.owed,
            "arrived": round(fresh.arrived, 4),
            "p50Ms": _ms(fresh.p50),
            "p99Ms": _ms(fresh.p99),
            "p50BeyondHoldMs": _ms(fresh.p50 - 1000 * system.hold_s),
            "p99BeyondHoldMs": _ms(fresh.p99 - 1000 * system.hold_s),
            "p99BeyondHoldAndWindowMs": _ms(fresh.p99 - aside),
            "cores": {name: round(used / took, 3) for name, used in cpu.items()},
            "cpuMsPer1000": _per_thousand(own, delivered),
            "cpuMsPer1000WithOrigin": _per_thousand(sum(cpu.values()), delivered),
            "deliveriesPerCpuSecond": round(delivered / own) if own else None,
            "deliveriesPerCpuSecondWithOrigin": round(delivered / sum(cpu.values())) if own else None,
        }

    async def _turns(self, turns: Iterable[Turn]) -> float:
        """Begin each when it is due; returns how late the latest was, in seconds."""
        latest = 0.0
        async with asyncio.TaskGroup() as group:
            for turn in turns:
                if (wait := turn.at - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                latest = max(latest, time.monotonic() - turn.at)
                self._latest[turn.person] = turn.number
                group.create_task(self._turn(turn))
        return latest

    async def _turn(self, turn: Turn) -> None:
        await self._persist(lambda: self._system.turn(turn), lambda: self._latest[turn.person] == turn.number)

    async def _persist(self, call: Call, wanted: Callable[[], bool] = lambda: True) -> None:
        """Until it is done or not wanted any more, as clients do: what is refused is tried again in a moment."""
        until = time.monotonic() + STORM_S
        while wanted() and time.monotonic() < until:
            try:
                return await call()
            except (OSError, TimeoutError) as problem:
                self._refused[f"{type(problem).__name__}: {problem}"[:REASON]] += 1
                wait = patience(problem)
            await asyncio.sleep(wait)
        return None

    async def _storms(self) -> list[Figures]:
        here = self._churn.here
        self._system.drop(here)
        blip = await self._until_right(
            "all connections break, all reconnect at once", self._all(self._comes(fresh=False)), holds=False
        )
        await self._all([partial(self._system.go, one) for one in here])
        waited = await self._until_gone()
        again = await self._until_right(
            "all left and were told of as gone, all come back at once", self._all(self._comes(fresh=True))
        )
        return [blip, again | {"secondsUntilGone": waited}]

    def _comes(self, fresh: bool) -> list[Call]:
        return [partial(self._system.come, one, fresh=fresh) for one in self._churn.here]

    async def _all(self, calls: Iterable[Call]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(call: Call) -> None:
            async with gate:
                await self._persist(call)

        await asyncio.gather(*map(one, calls))

    async def _until_gone(self) -> float:
        began = time.monotonic()
        await asyncio.sleep(SETTLE_S)
        while await self._system.still_online() and time.monotonic() - began < STORM_S:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        return round(time.monotonic() - began, 1)

    async def _until_right(self, what: str, coming: Awaitable[None], holds: bool = True) -> Figures:
        """`holds`: whether it is a change for presence, which settles after the hold."""
        system, here = self._system, set(self._churn.here)
        views = system.views = Views({one: self._friends.of[one] & here for one in here})
        used, began = system.used(), time.monotonic()
        await coming
        connected = time.monotonic() - began
        while views.wrong and time.monotonic() - began < STORM_S:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(
            system.hold_s + system.window_s + SETTLE_S
        )  # a view that was right may not stay so
        cpu = {name: now - used[name] for name, now in system.used().items()}
        right = max(views.all_right_at - began, 0.0)
        system.views = None
        aside = system.hold_s if holds else 0.0
        storm = {
            "what": what,
            "people": len(here),
            "connectedSeconds": round(connected, 2),
            "allRightSeconds": round(right, 2),
            "allRightBeyondHoldSeconds": round(max(right - aside, 0.0), 2),
            "wrongViews": views.wrong,
            "cpuSeconds": {name: round(spent, 2) for name, spent in cpu.items()},
        }
        self._said(f"{system.name}: {what}: all views right after {right:.2f} s, {views.wrong} wrong")
        if self._refused:
            self._said(f"{system.name}: refused so far, and tried again: {dict(self._refused)}")
        return storm


def said(step: Figures) -> str:
    """One step in a line."""
    return (
        f"{step['turnsPerSecond']:g} turns/s, {step['deliveriesPerSecond']:,} deliveries/s, "
        f"p50 {step['p50Ms']} p99 {step['p99Ms']} ms (beyond the hold {step['p99BeyondHoldMs']}), "
        f"{step['arrived']:.1%} arrived, {step['cpuMsPer1000']} CPU ms per 1,000 "
        f"({step['cpuMsPer1000WithOrigin']} with origin), cores {step['cores']}, "
        f"driver {step['driverCores']}, lag {step['driverLagMs']} ms"
    )


def _ms(value: float) -> float | None:
    """None for what never came, which JSON cannot say."""
    return round(value, 1) if value != float("inf") else None


def _per_thousand(seconds: float, delivered: int) -> float | None:
    return round(1e6 * seconds / delivered, 2) if delivered else None
