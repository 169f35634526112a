"""The rising rates of `bench.system.end_to_end`, and a trace played instead of them, on one stack and one crowd. Shows nothing."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.harness import stacked, traces
from bench.harness.crowd import Crowd, Freshness
from bench.harness.loaded import ONLINE, load
from bench.harness.steps import ADAPTIVE, FIXED, Step, console, report_step
from bench.harness.traces import Transition
from graph_service.model.sharding import ShardMap
from local_stack.data.generate import generate
from local_stack.stack.up import Stack
from pubnub_bridge.client.connection_info import read_connection_info

DEBOUNCE_MILLISECONDS = 5000
WARM = 16.0
"""Seconds of a rate before it is measured: one hold, and one interval of PubNub's presence."""
CALM = 12.0
"""Seconds after everybody came, until what their coming led to is told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured on, and how."""

    people: int
    low: int
    high: int
    seed: int
    seconds: float
    """How long a rate is measured."""
    rates: tuple[float, ...]
    fresh: bool
    """Whether everybody who comes asks for a new session, as an app that was just started."""
    record: str = ""
    """Where everybody's turns go; empty for nowhere."""
    replay: str = ""
    """A trace to play instead of rising rates."""
    speed: float = 1.0
    """Of a replay."""


@dataclass
class Tape:
    """Turns as they were begun."""

    transitions: list[Transition] = field(default_factory=list)
    _began: float | None = None

    def taken(self, transitions: Iterable[Transition]) -> Iterator[Transition]:
        """The turns, each kept with its moment since the first of all."""
        now = time.monotonic()
        self._began = self._began or now
        for transition in transitions:
            self.transitions.append(
                Transition(round(now - self._began + transition.at, 3), transition.user, transition.joins)
            )
            yield transition


async def run(plan: Plan) -> tuple[list[Step], dict[str, Any]]:
    """Both windows, one after the other on the same stack; or the trace."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(plan.people, plan.low, plan.high, plan.seed)
        data, told = await load(Path(name), population, plan.seed), Path(name) / "stack.json"
        console.print(f"{len(population.pairs):,} friendships loaded")
        began = time.monotonic()
        async with stacked.system(data, told) as made:
            facts = {"started": _started(time.monotonic() - began)}
            crowd = Crowd(read_connection_info(told), DEBOUNCE_MILLISECONDS, plan.fresh)
            try:
                walk = Walk(plan, made, crowd)
                found = await (walk.replayed() if plan.replay else walk.both(population.ids))
            finally:
                crowd.close()
            facts |= {"memoryMiB": stacked.memory_mib(made), "versions": stacked.versions(made)}
        if plan.record:
            traces.write(Path(plan.record), asdict(plan), walk.tape.transitions)
        return found, facts


def _started(seconds: float) -> dict[str, Any]:
    return {"what": "start of the whole stack", "value": round(seconds, 1), "unit": "s", "budget": "<= 20"}


@dataclass(frozen=True)
class Walk:
    """One crowd and what it goes through."""

    plan: Plan
    made: Stack
    crowd: Crowd
    tape: Tape = field(default_factory=Tape)

    async def both(self, people: list[str]) -> list[Step]:
        """Three in ten come; then rising rates, by default and with a window of a second."""
        online = random.Random(self.plan.seed).sample(people, int(ONLINE * len(people)))
        there = frozenset(online)
        queues = deque(online), deque(user for user in people if user not in there)
        await self.gathered(online)
        found = await self.rising((ADAPTIVE, 0.0), queues)
        await stacked.restarted(self.made, {"BATCH_WINDOW_MIN_SECONDS": "1"})
        await asyncio.sleep(CALM)
        return found + await self.rising((FIXED, 1.0), queues)

    async def replayed(self) -> list[Step]:
        """The trace, with the default window; who is there at its beginning comes first."""
        transitions = list(traces.read(Path(self.plan.replay)))
        first = [transition.user for transition in transitions if transition.at == 0.0 and transition.joins]
        rest = transitions[len(first) :]
        await self.gathered(first)
        rate = len(rest) / max(1.0, transitions[-1].at) * self.plan.speed
        return [await self.measured(ADAPTIVE, rate, rest)]

    async def gathered(self, online: list[str]) -> None:
        """Everybody who is to be there comes, shard after shard, and all of it is told.

        PubNub's presence intervals begin where a shard has too many people for single events. Did all shards fill at
        once, they would tell the changes of ten seconds in the same moment ever after, which no system does that
        people came to in the course of a day.
        """
        began = time.monotonic()
        for _ in self.tape.taken(Transition(0.0, user, True) for user in online):
            pass
        await self.crowd.gather(sorted(online, key=ShardMap().shard))
        took = time.monotonic() - began
        console.print(f"{len(online):,} people came in {took:.1f} s ({len(online) / took:,.0f} a second)")
        await asyncio.sleep(CALM)

    async def rising(self, window: tuple[str, float], queues: tuple[deque[str], deque[str]]) -> list[Step]:
        """Until the limit is passed."""
        self.crowd.listener.window_ms = round(window[1] * 1000)
        found: list[Step] = []
        for rate in self.plan.rates:
            chance = random.Random(f"{self.plan.seed} {window[0]} {rate}")
            await self._play(traces.churn(rate, WARM, *queues, chance))
            transitions = traces.churn(rate, self.plan.seconds, *queues, chance)
            found.append(await self.measured(window[0], rate, transitions))
            if not found[-1].sustained:
                break
        await asyncio.sleep(CALM)
        return found

    async def measured(self, window: str, rate: float, transitions: Iterable[Transition]) -> Step:
        """What these turns lead to."""
        self.crowd.begin()
        cpu_seconds, began = stacked.cpu_seconds(self.made), time.monotonic()
        await self._play(transitions)
        took = time.monotonic() - began
        spent = {name: now - cpu_seconds[name] for name, now in stacked.cpu_seconds(self.made).items()}
        made = self._told(window, rate, took, spent)
        report_step(made)
        return made

    async def _play(self, transitions: Iterable[Transition]) -> None:
        await self.crowd.play(self.tape.taken(transitions), self.plan.speed if self.plan.replay else 1.0)

    def _told(self, window: str, rate: float, took: float, spent: dict[str, float]) -> Step:
        crowd, listener, connected = self.crowd, self.crowd.listener, self.crowd.connect_timing
        return Step(
            window=window,
            wanted=rate,
            transitions=round(crowd.counters["done"] / took, 1),
            failed=crowd.counters["failed"],
            begun=round(crowd.counters["begun"] / took, 1),
            deliveries=round(listener.notifications / took, 1),
            publishes=round(listener.replies / took, 1),
            notified=Freshness.of(listener.since_event),
            beyond=Freshness.of(listener.beyond),
            acted=Freshness.of(listener.since_due),
            connect_p50=connected.p50,
            connect_p99=connected.p99,
            cpu={name: round(1e6 * cpu / max(1, listener.notifications), 3) for name, cpu in spent.items()},
            cores={name: round(cpu / took, 3) for name, cpu in spent.items()},
        )
