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
from rich.table import Table

from bench import chart, measure, stacked, traces
from bench.crowd import Crowd, Freshness
from bench.loaded import ONLINE, load
from bench.scaled import ORIGIN, Line, cores
from local_stack.generate import generate
from local_stack.up import Stack
from pubnub_bridge.stack_file import reach

console = Console(stderr=True)
RATES = "25,50,100,150,200,300,400,600,800"
LIMIT_MS = 1000.0
HOLD_MS = 5000
WARM = 16.0
"""Seconds of a rate before it is measured: one hold, and one interval of PubNub's presence."""
CALM = 12.0
"""Seconds after everybody came, until what their coming led to is told."""
SERVERS = ("Neo4j", "Valkey", "friends-presence")


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


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, measured."""

    window: str
    wanted: float
    transitions: float
    """A second, done."""
    failed: int
    deliveries: float
    """A second: one friend told of one change."""
    publishes: float
    """Messages heard, a second."""
    told: Freshness
    """Beyond the hold, since PubNub's event."""
    beyond: Freshness
    """Beyond hold and window, of the oldest change in a message."""
    acted: Freshness
    """Beyond the hold, since the person's turn was due; in interval mode the interval is in it."""
    connect_p50: float
    connect_p99: float
    """From a due arrival to the answer of its sync, milliseconds."""
    cpu: dict[str, float]
    """Milliseconds of each process for 1,000 deliveries."""
    cores: dict[str, float]
    """Of each process."""

    @property
    def judged(self) -> Freshness:
        """What the limit is for: a fixed window is aside, an adaptive one is not."""
        return self.told if self.window == "adaptive" else self.beyond

    @property
    def servers(self) -> float:
        """CPU of all servers but the origin, milliseconds for 1,000 deliveries."""
        return sum(self.cpu[name] for name in SERVERS)

    @property
    def kept(self) -> bool:
        """Whether the rate was sustained within the limit."""
        return self.judged.p99 <= LIMIT_MS and self.transitions >= 0.95 * self.wanted


async def run(plan: Plan) -> tuple[list[Step], dict[str, Any]]:
    """Both windows, one after the other on the same stack."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(plan.people, plan.low, plan.high, plan.seed)
        data = await load(Path(name), population, plan.seed)
        console.print(f"{len(population.pairs):,} friendships loaded")
        online = random.Random(plan.seed).sample(population.ids, int(ONLINE * plan.people))
        there = frozenset(online)
        away = deque(user for user in population.ids if user not in there)
        async with stacked.system(data, Path(name) / "stack.json") as made:
            crowd = Crowd(reach(Path(name) / "stack.json"), HOLD_MS, plan.fresh)
            try:
                facts = await _gathered(crowd, made, online)
                walk = Walk(plan, made, crowd, (deque(online), away))
                steps = await walk.rising("adaptive", 0.0)
                await stacked.restarted(made, {"COALESCE_SHORTEST": "1"})
                await asyncio.sleep(CALM)
                steps += await walk.rising("1 s", 1.0)
            finally:
                crowd.close()
            facts["memoryMiB"] = stacked.memory(made)
        return steps, facts


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
        steps: list[Step] = []
        for rate in self.plan.rates:
            steps.append(await self.step(window, rate))
            if not steps[-1].kept:
                break
        await asyncio.sleep(CALM)
        return steps

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
        console.print(_said(made))
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


def _said(step: Step) -> str:
    busy = ", ".join(f"{name} {share:.2f}" for name, share in step.cores.items())
    return (
        f"window {step.window}, {step.wanted:,.0f}/s: {step.transitions:,.0f} done, {step.failed} failed, "
        f"{step.deliveries:,.0f} deliveries/s in {step.publishes:,.0f} messages/s, "
        f"p99 {step.judged.p99:,.0f} ms; cores: {busy}"
    )


def table(steps: list[Step]) -> Table:
    """For people."""
    headings = (
        "window, wanted/s, done/s, deliveries/s, messages/s, told p50, p99, acted p50, p99, connect p99"
    )
    shown = Table(*headings.split(", "), "CPU ms/1,000", "kept", title="The whole system (milliseconds)")
    for one in steps:
        rates = (one.wanted, one.transitions, one.deliveries, one.publishes)
        ages = (one.judged.p50, one.judged.p99, one.acted.p50, one.acted.p99, one.connect_p99)
        figures = [f"{figure:,.0f}" for figure in (*rates, *ages)]
        shown.add_row(one.window, *figures, f"{one.servers:.1f}", "yes" if one.kept else "[red]no[/red]")
    return shown


def best(steps: list[Step], window: str) -> Step | None:
    """The highest rate that was kept."""
    return max(
        (one for one in steps if one.window == window and one.kept), key=lambda s: s.wanted, default=None
    )


def reckoned(steps: list[Step]) -> list[Line]:
    """The full load, from the costs of the highest rate that was kept with the fixed window."""
    found = best(steps, "1 s") or best(steps, "adaptive")
    return cores({name: found.cpu[name] for name in (*SERVERS, ORIGIN)}) if found else []


def results(steps: list[Step]) -> list[dict[str, Any]]:
    """The figures that have a budget."""
    found, default = best(steps, "1 s"), best(steps, "adaptive")
    rows: list[tuple[str, float, str, str]] = []
    for name, one in (("adaptive window", default), ("window 1 s", found)):
        budget = ">= 400" if one is found else ""
        rows.append(
            (f"transitions/s with everything, {name}", one.transitions if one else 0.0, "1/s", budget)
        )
    if found:
        rows.append(("CPU of all servers without the origin, window 1 s", found.servers, "ms/1,000", "<= 8"))
    return [
        {"what": what, "value": value, "unit": unit, "budget": budget} for what, value, unit, budget in rows
    ]


def _arithmetic(lines: list[Line]) -> Table:
    shown = Table("what", "reckoned", "value", "unit", title="500,000 online, by arithmetic from this run")
    for line in lines:
        shown.add_row(line.what, line.reckoned, f"{line.value:,.2f}", line.unit)
    return shown


def drawing(steps: list[Step], title: str) -> str:
    """Freshness by rate, as SVG."""
    rows = [
        (
            f"{one.window}, {one.transitions:,.0f} transitions/s",
            {"p50": one.judged.p50, "p99": one.judged.p99},
        )
        for one in steps
    ]
    return chart.bars(title, "ms", [(name, {k: max(1.0, v) for k, v in ages.items()}) for name, ages in rows])


def main(
    people: Annotated[int, typer.Option(help="How many people; three in ten are online.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Of population and churn.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long each rate is measured.")] = 20.0,
    rates: Annotated[str, typer.Option(help="Transitions a second, rising.")] = RATES,
    fresh: Annotated[bool, typer.Option(help="Everybody who comes asks for a new session.")] = False,
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
    steps, facts = uvloop.run(run(plan))
    lines = reckoned(steps)
    Console().print(table(steps), _arithmetic(lines))
    if out:
        kept = {
            "command": " ".join(["python -m bench.whole", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "plan": asdict(plan) | {"holdMs": HOLD_MS, "limitMs": LIMIT_MS},
            **facts,
            "seconds": round(time.monotonic() - began),
            "results": results(steps),
            "steps": [asdict(one) | {"servers": one.servers, "kept": one.kept} for one in steps],
            "arithmetic": [asdict(line) for line in lines],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        out.with_suffix(".svg").write_text(
            drawing(steps, f"News beyond the hold, {people:,} people"), "utf-8"
        )


if __name__ == "__main__":
    typer.run(main)
