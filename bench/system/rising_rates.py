"""Rising rates of churn, or a recorded trace, on one stack with one crowd of clients. Prints only progress."""

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
WARM_UP_SECONDS = 16.0
"""Seconds of a rate before it is measured: more than the debounce time and one interval of PubNub's presence."""
REST_SECONDS = 12.0
"""Seconds after all users joined, until their notifications are delivered."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Population and programme of one run."""

    people: int
    low: int
    high: int
    seed: int
    seconds: float
    """How long each rate is measured."""
    rates: tuple[float, ...]
    fresh: bool
    """Whether each user who joins requests a new session, as an app does after its start."""
    record: str = ""
    """File for the recorded transitions; empty for none."""
    replay: str = ""
    """A trace to play instead of rising rates."""
    speed: float = 1.0
    """Speed of a replay."""


@dataclass
class Recorder:
    """Records transitions with the time they began."""

    transitions: list[Transition] = field(default_factory=list)
    _began: float | None = None

    def record(self, transitions: Iterable[Transition]) -> Iterator[Transition]:
        """Pass the transitions on, recording each with its time since the first of the run."""
        now = time.monotonic()
        self._began = self._began or now
        for transition in transitions:
            self.transitions.append(
                Transition(round(now - self._began + transition.at, 3), transition.user, transition.joins)
            )
            yield transition


async def run(plan: Plan) -> tuple[list[Step], dict[str, Any]]:
    """Measure both windows, one after the other on the same stack, or the trace."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(plan.people, plan.low, plan.high, plan.seed)
        data, connection_file = await load(Path(name), population, plan.seed), Path(name) / "stack.json"
        console.print(f"{len(population.pairs):,} friendships loaded")
        began = time.monotonic()
        async with stacked.system(data, connection_file) as made:
            facts = {"started": _started(time.monotonic() - began)}
            crowd = Crowd(
                connection_info=read_connection_info(connection_file),
                debounce_ms=DEBOUNCE_MILLISECONDS,
                fresh=plan.fresh,
            )
            try:
                programme = Programme(plan, made, crowd)
                found = await (programme.replayed() if plan.replay else programme.both(population.ids))
            finally:
                crowd.close()
            facts |= {"memoryMiB": stacked.memory_mib(made), "versions": stacked.versions(made)}
        if plan.record:
            traces.write(Path(plan.record), asdict(plan), programme.recorder.transitions)
        return found, facts


def _started(seconds: float) -> dict[str, Any]:
    return {"what": "start of the whole stack", "value": round(seconds, 1), "unit": "s", "budget": "<= 20"}


@dataclass(frozen=True)
class Programme:
    """The programme of one crowd."""

    plan: Plan
    made: Stack
    crowd: Crowd
    recorder: Recorder = field(default_factory=Recorder)

    async def both(self, users: list[str]) -> list[Step]:
        """Three in ten users join; then rising rates, with the default window and with a window of a second."""
        online = random.Random(self.plan.seed).sample(users, int(ONLINE * len(users)))
        there = frozenset(online)
        queues = deque(online), deque(user for user in users if user not in there)
        await self.gathered(online)
        found = await self.rising((ADAPTIVE, 0.0), queues)
        await stacked.restarted(self.made, {"BATCH_WINDOW_MIN_SECONDS": "1"})
        await asyncio.sleep(REST_SECONDS)
        return found + await self.rising((FIXED, 1.0), queues)

    async def replayed(self) -> list[Step]:
        """Play the trace with the default window. Users who are online at its beginning join first."""
        transitions = list(traces.read(Path(self.plan.replay)))
        first = [transition.user for transition in transitions if transition.at == 0.0 and transition.joins]
        rest = transitions[len(first) :]
        await self.gathered(first)
        rate = len(rest) / max(1.0, transitions[-1].at) * self.plan.speed
        return [await self.measured(ADAPTIVE, rate, rest)]

    async def gathered(self, online: list[str]) -> None:
        """Let users join, shard after shard, and wait until all notifications are delivered.

        PubNub's presence intervals of a shard begin when it has too many users for single events. If all shards were
        filled at once, all of them would report ten seconds of changes at the same moment, which does not happen when
        users join in the course of a day.
        """
        began = time.monotonic()
        for _ in self.recorder.record(Transition(0.0, user, True) for user in online):
            pass
        await self.crowd.gather(sorted(online, key=ShardMap().shard))
        took = time.monotonic() - began
        console.print(f"{len(online):,} users joined in {took:.1f} s ({len(online) / took:,.0f} a second)")
        await asyncio.sleep(REST_SECONDS)

    async def rising(self, window: tuple[str, float], queues: tuple[deque[str], deque[str]]) -> list[Step]:
        """Measure rising rates until one is not sustained."""
        self.crowd.listener.window_ms = round(window[1] * 1000)
        found: list[Step] = []
        for rate in self.plan.rates:
            chance = random.Random(f"{self.plan.seed} {window[0]} {rate}")
            await self._play(traces.churn(rate, WARM_UP_SECONDS, *queues, chance))
            transitions = traces.churn(rate, self.plan.seconds, *queues, chance)
            found.append(await self.measured(window[0], rate, transitions))
            if not found[-1].sustained:
                break
        await asyncio.sleep(REST_SECONDS)
        return found

    async def measured(self, window: str, rate: float, transitions: Iterable[Transition]) -> Step:
        """Measure these transitions."""
        self.crowd.begin()
        cpu_seconds, began = stacked.cpu_seconds(self.made), time.monotonic()
        await self._play(transitions)
        took = time.monotonic() - began
        spent = {name: now - cpu_seconds[name] for name, now in stacked.cpu_seconds(self.made).items()}
        made = self._step(window, rate, took, spent)
        report_step(made)
        return made

    async def _play(self, transitions: Iterable[Transition]) -> None:
        await self.crowd.play(self.recorder.record(transitions), self.plan.speed if self.plan.replay else 1.0)

    def _step(self, window: str, rate: float, took: float, spent: dict[str, float]) -> Step:
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
