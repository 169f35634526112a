"""The whole system as a user gets it, at rising churn: how fresh news are, and what each process takes for them.

Engines, origin, API and bridge are started as ``friends-presence up`` starts them, people are clients on the wire.
Rates rise until the 99th percentile of freshness passes its limit; once by default, once with a fixed window. Knows
what is measured and how it is shown. Run it with ``make bench-whole``; everything runs on this machine, the clients
included.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench import measure, stacked, steps, sunk, traces
from bench.bridge_rig import HOLD_S as SINK_HOLD_S
from bench.crowd import Crowd, Freshness
from bench.loaded import ONLINE, load
from bench.steps import ADAPTIVE, FIXED, LIMIT_MS, Step, said
from local_stack.generate import generate
from local_stack.up import Stack
from pubnub_bridge.stack_file import reach

console = Console(stderr=True)
RATES = "25,50,100,150,200,300,400,600,800"
HOLD_MS = 5000
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


async def run(plan: Plan) -> tuple[list[Step], dict[str, Any]]:
    """Both windows, one after the other on the same stack."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(plan.people, plan.low, plan.high, plan.seed)
        data = await load(Path(name), population, plan.seed)
        console.print(f"{len(population.pairs):,} friendships loaded")
        online = random.Random(plan.seed).sample(population.ids, int(ONLINE * plan.people))
        there = frozenset(online)
        away = deque(user for user in population.ids if user not in there)
        began = time.monotonic()
        async with stacked.system(data, Path(name) / "stack.json") as made:
            started = round(time.monotonic() - began, 1)
            crowd = Crowd(reach(Path(name) / "stack.json"), HOLD_MS, plan.fresh)
            try:
                facts = await _gathered(crowd, made, online)
                walk = Walk(plan, made, crowd, (deque(online), away))
                found = await walk.rising(ADAPTIVE, 0.0)
                await stacked.restarted(made, {"COALESCE_SHORTEST": "1"})
                await asyncio.sleep(CALM)
                found += await walk.rising(FIXED, 1.0)
            finally:
                crowd.close()
            facts |= {"memoryMiB": stacked.memory(made), "versions": stacked.versions(made)}
            facts["started"] = {
                "what": "start of the whole stack",
                "value": started,
                "unit": "s",
                "budget": "<= 20",
            }
        return found, facts


async def _gathered(crowd: Crowd, made: Stack, online: list[str]) -> dict[str, Any]:
    began = time.monotonic()
    await crowd.gather(online)
    took = time.monotonic() - began
    console.print(f"{len(online):,} people came in {took:.1f} s ({len(online) / took:,.0f} a second)")
    await asyncio.sleep(CALM)
    return {"gathered": {"people": len(online), "seconds": round(took, 1)}}


@dataclass(frozen=True)
class Walk:
    """Rising rates on one crowd."""

    plan: Plan
    made: Stack
    crowd: Crowd
    queues: tuple[deque[str], deque[str]]

    async def rising(self, window: str, window_s: float) -> list[Step]:
        """Until the limit is passed."""
        self.crowd.ear.window_ms = round(window_s * 1000)
        found: list[Step] = []
        for rate in self.plan.rates:
            found.append(await self.step(window, rate))
            if not found[-1].kept:
                break
        await asyncio.sleep(CALM)
        return found

    async def step(self, window: str, rate: float) -> Step:
        """One rate: warmed up, then measured."""
        chance = random.Random(f"{self.plan.seed} {window} {rate}")
        await self.crowd.play(traces.churn(rate, WARM, *self.queues, chance))
        self.crowd.begin()
        used, began = stacked.used(self.made), time.monotonic()
        await self.crowd.play(traces.churn(rate, self.plan.seconds, *self.queues, chance))
        took = time.monotonic() - began
        spent = {name: now - used[name] for name, now in stacked.used(self.made).items()}
        made = self._told(window, rate, took, spent)
        said(made)
        return made

    def _told(self, window: str, rate: float, took: float, spent: dict[str, float]) -> Step:
        crowd, ear, connected = self.crowd, self.crowd.ear, self.crowd.connected
        return Step(
            window=window,
            wanted=rate,
            transitions=round(crowd.counted["done"] / took, 1),
            failed=crowd.counted["failed"],
            deliveries=round(ear.news / took, 1),
            publishes=round(ear.replies / took, 1),
            told=Freshness.of(ear.told),
            beyond=Freshness.of(ear.beyond),
            acted=Freshness.of(ear.acted),
            connect_p50=connected.p50,
            connect_p99=connected.p99,
            cpu={name: round(1e6 * cpu / max(1, ear.news), 3) for name, cpu in spent.items()},
            cores={name: round(cpu / took, 3) for name, cpu in spent.items()},
        )


def main(
    people: Annotated[int, typer.Option(help="How many people; three in ten are online.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Of population and churn.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long each rate is measured.")] = 20.0,
    rates: Annotated[str, typer.Option(help="Transitions a second, rising.")] = RATES,
    fresh: Annotated[bool, typer.Option(help="Everybody who comes asks for a new session.")] = False,
    sink: Annotated[bool, typer.Option(help="Publish into a sink; presence comes by the log.")] = False,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart beside.")
    ] = None,
) -> None:
    """Measure the whole system at rising churn."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    low, high = (int(word) for word in friends.split("-"))
    plan = Plan(people, low, high, seed, seconds, tuple(map(float, rates.split(","))), fresh)
    before, began = measure.machine(), time.monotonic()
    found, facts = uvloop.run(sunk.run(plan) if sink else run(plan))
    lines, started = steps.reckoned(found), [facts.pop("started")] if "started" in facts else []
    Console().print(steps.table(found), steps.arithmetic(lines))
    if out:
        kept = {
            "command": " ".join(["python -m bench.whole", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "plan": asdict(plan) | {"holdMs": SINK_HOLD_S * 1000 if sink else HOLD_MS, "limitMs": LIMIT_MS},
            **facts,
            "seconds": round(time.monotonic() - began),
            "results": [*steps.results(found, sink), *started],
            "steps": [one.figures() for one in found],
            "arithmetic": [asdict(line) for line in lines],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        title = f"News beyond the hold, {people:,} people" + (", into a sink" if sink else "")
        out.with_suffix(".svg").write_text(steps.drawing(found, title), "utf-8")


if __name__ == "__main__":
    typer.run(main)
