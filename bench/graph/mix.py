"""LinkBench's mix of reads and writes against the API, at rising rates: how long each operation takes, and when it is
too much.

Open loop: calls begin when they are due, and the wait counts. Knows how each operation is asked over HTTP and how
figures are shown; the mix itself is `bench.graph.workload`'s. Run it with ``make bench-mix``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.charts import bars
from bench.graph import workload
from bench.graph.mix_calls import Asker
from bench.graph.workload import Op
from bench.harness import measure, stacked
from bench.harness.live_users import Wire
from bench.harness.loaded import ONLINE, flag, load
from bench.harness.measure import Stopwatch, Timing
from graph_service.graph.driver import connect
from local_stack.data.generate import Population, generate
from local_stack.stack.up import Stack
from pubnub_bridge.client.connection_info import read_connection_info

console = Console(stderr=True)
RATES = "50,100,200,400,800,1600"
WARM = 3.0
COLD = 100
WARMED = 1500
"""Calls until Neo4j's Java has compiled what a question runs through; a service has answered as many in its first minute."""
PROBES = 20.0
"""Syncs a second beside the mix."""
LIMIT_MS = 500.0
HTTP_BUDGETS = {
    "friends page of 100, one caller, p50": "<= 1.8",
    "friends page of 1,000, one caller, p50": "<= 9",
    "sync of 1,000 friends, half load, p50": "<= 6",
    "sync of 1,000 friends, half load, p99": "<= 30",
}
REFUSED = 0.01
"""The share of calls sent away above which a rate is too much."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, measured. A call that was refused has no latency; it is counted."""

    wanted: float
    done: float
    """Calls answered well, a second."""
    refused: dict[str, int]
    """How many, by the answer."""
    whole: Timing
    by_op: dict[Op, Timing]
    cores: dict[str, float]

    @property
    def kept(self) -> bool:
        """Whether the rate was sustained within the limit."""
        few = sum(self.refused.values()) <= REFUSED * (self.whole.calls or 1)
        return self.whole.p99 <= LIMIT_MS and self.done >= 0.95 * self.wanted and few


@dataclass(frozen=True, slots=True)
class Figure:
    """A latency in milliseconds."""

    what: str
    value: float
    unit: str = "ms"

    @property
    def budget(self) -> str:
        """Where it has one."""
        return HTTP_BUDGETS.get(self.what, "")


@dataclass(frozen=True, slots=True)
class Run:
    """Everything measured."""

    steps: list[Step]
    figures: list[Figure]
    versions: dict[str, str]


async def step(asker: Asker, made: Stack, rate: float, seconds: float) -> Step:
    """One rate: warmed up, then measured."""
    await measure.at_rate(asker.ask, rate, WARM)
    asker.begin()
    whole, by_op = Stopwatch(), {op: Stopwatch() for op in Op}

    def took(number: int, late: float) -> None:
        if number not in asker.refused:
            whole.took(late)
            by_op[asker.ops[number]].took(late)

    before, began = stacked.used(made), time.monotonic()
    await measure.at_rate(asker.ask, rate, seconds, took)
    lasted = time.monotonic() - began
    spent = {name: round((now - before[name]) / lasted, 3) for name, now in stacked.used(made).items()}
    refused: dict[str, int] = {}
    for reason in asker.refused.values():
        refused[reason] = refused.get(reason, 0) + 1
    timing = whole.timing()
    timings = {op: timed for op, watch in by_op.items() if (timed := watch.timing()).calls}
    return Step(rate, round(timing.calls / lasted, 1), refused, timing, timings, spent)


async def alone(asker: Asker) -> list[Figure]:
    """One caller, nothing else going on: what the first are answered in, and once the engines are warm."""
    asked = (
        ("friends page of 100", asker.page, WARMED),
        ("friends page of 1,000", asker.whole_page, WARMED // 10),  # the same question of the graph
        ("sync of 1,000 friends", asker.sync, WARMED),
    )
    found = []
    for name, call, _ in asked:
        found += _percentiles(f"{name}, the first {COLD} calls", await measure.one_by_one(call, COLD))
    for name, call, warm in asked:
        found += _percentiles(f"{name}, one caller", await measure.one_by_one(call, 300, warm))
    return found


async def half(asker: Asker, rate: float, seconds: float) -> list[Figure]:
    """The sync of a user with 1,000 friends while the mix runs at half of what it bore."""
    async with asyncio.TaskGroup() as group:
        group.create_task(measure.at_rate(asker.ask, rate / 2, seconds))
        probes = group.create_task(measure.at_rate(asker.sync, PROBES, seconds))
    return _percentiles("sync of 1,000 friends, half load", probes.result())


def _percentiles(name: str, timing: Timing) -> list[Figure]:
    found = [Figure(f"{name}, p{share}", age) for share, age in ((50, timing.p50), (99, timing.p99))]
    for one in found:
        console.print(f"{one.what}: {one.value:.1f} ms {one.budget}")
    return found


async def run(population: Population, seed: int, rates: Sequence[float], seconds: float) -> Run:
    """One caller first, then rising rates until one is too much, then half of that."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        data, told = await load(Path(name), population, seed), Path(name) / "stack.json"
        async with stacked.system(data, told) as made:
            where = read_connection_info(told)
            await stacked.at_rest(made)  # or those flagged below would be found missing, and written behind
            async with connect(where.settings) as graph:
                online = random.Random(seed).sample(population.ids, int(ONLINE * len(population.ids)))
                await flag(graph, online)
            wire = Wire(where, lambda _user, _body, _at: None)
            asker, steps = Asker(wire, population, seed), []
            single = await alone(asker)
            for rate in rates:
                steps.append(await step(asker, made, rate, seconds))
                console.print(_reported(steps[-1]))
                if not steps[-1].kept:
                    break
                await asyncio.sleep(1.0)
            await asyncio.sleep(3.0)
            single += await half(asker, best(steps).wanted, max(10.0, seconds))
            wire.close()
            return Run(steps, single, stacked.versions(made))


def _reported(one: Step) -> str:
    busy = ", ".join(f"{name} {share:.2f}" for name, share in one.cores.items())
    return (
        f"{one.wanted:,.0f}/s: {one.done:,.0f} done, {sum(one.refused.values())} refused, p50 {one.whole.p50:.1f} ms, "
        f"p99 {one.whole.p99:.1f} ms; cores: {busy} {one.refused or ''}"
    )


def best(steps: Sequence[Step]) -> Step:
    """The highest rate that was kept, or the first."""
    return max((one for one in steps if one.kept), key=lambda one: one.wanted, default=steps[0])


def tables(steps: Sequence[Step]) -> list[Table]:
    """For people: by rate, then by operation at the rates that mean most."""
    rates = Table(
        "wanted/s", "done/s", "refused", "p50", "p95", "p99", "kept", title="The mix (milliseconds)"
    )
    for one in steps:
        ages = [f"{age:,.1f}" for age in (one.whole.p50, one.whole.p95, one.whole.p99)]
        counts = (f"{one.wanted:,.0f}", f"{one.done:,.0f}", str(sum(one.refused.values())))
        rates.add_row(*counts, *ages, "yes" if one.kept else "[red]no[/red]")
    top = best(steps)
    ops = Table("operation", "calls", "p50", "p99", title=f"At {top.wanted:,.0f} a second")
    for op, timed in top.by_op.items():
        ops.add_row(op, f"{timed.calls:,}", f"{timed.p50:,.1f}", f"{timed.p99:,.1f}")
    return [rates, ops]


def figures(made: Run) -> dict[str, Any]:
    """What the file keeps of the run."""
    steps, top = made.steps, best(made.steps)
    held = {
        "what": "mix of reads and writes sustained",
        "value": top.done if top.kept else 0.0,
        "unit": "calls/s",
        "budget": "",
    }
    return {
        "limitMs": LIMIT_MS,
        "mix": {op.value: round(share, 4) for op, share in workload.mix().items()},
        "results": [held, *(asdict(one) | {"budget": one.budget} for one in made.figures)],
        "steps": [asdict(one) | {"kept": one.kept} for one in steps],
    }


def main(
    people: Annotated[int, typer.Option(help="How many people.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Of population and calls.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long each rate is measured.")] = 10.0,
    rates: Annotated[str, typer.Option(help="Calls a second, rising.")] = RATES,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart beside.")
    ] = None,
) -> None:
    """Ask the API LinkBench's mix at rising rates."""
    low, high = (int(word) for word in friends.split("-"))
    before, began = measure.machine(), time.monotonic()
    population = generate(people, low, high, seed)
    found = uvloop.run(run(population, seed, [float(rate) for rate in rates.split(",")], seconds))
    steps = found.steps
    Console().print(*tables(steps))
    if out:
        kept = {
            "command": " ".join(["python -m bench.graph.mix", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"people": people, "friends": friends, "seed": seed, "online": ONLINE},
            "seconds": round(time.monotonic() - began),
            "versions": found.versions,
            **figures(found),
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        rows = [(op.value, {"p50": t.p50, "p99": t.p99}) for op, t in best(steps).by_op.items()]
        title = f"The mix at {best(steps).wanted:,.0f} calls a second, {people:,} people"
        out.with_suffix(".svg").write_text(bars.bars(title, "ms", rows), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
