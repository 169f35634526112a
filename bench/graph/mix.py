"""API benchmark: LinkBench's mix of reads and writes at rising rates, until a rate is not sustained.

Open loop: requests begin when they are due, and waiting counts. The mix is defined in `bench.graph.workload`. Run it with
``make bench-mix``.
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
from bench.graph.mix_calls import RequestRunner
from bench.graph.workload import Op
from bench.harness import measure, stacked
from bench.harness.live_users import Backend
from bench.harness.loaded import ONLINE, flag, load
from bench.harness.measure import Stopwatch, Timing
from graph_service.graph.driver import connect
from local_stack.data.generate import Population, generate
from local_stack.stack.up import Stack
from pubnub_bridge.client.connection_info import read_connection_info

console = Console(stderr=True)
RATES = "50,100,200,400,800,1600"
WARM_UP_SECONDS = 3.0
COLD_CALLS = 100
WARM_UP_CALLS = 1500
"""Requests until Neo4j's JVM has compiled a query. A service processes as many in its first minute."""
PROBES_PER_SECOND = 20.0
"""Syncs a second in addition to the mix."""
MAX_P99_MILLISECONDS = 500.0
HTTP_BUDGETS = {
    "friends page of 100, one caller, p50": "<= 1.8",
    "friends page of 1,000, one caller, p50": "<= 9",
    "sync of 1,000 friends, half load, p50": "<= 6",
    "sync of 1,000 friends, half load, p99": "<= 30",
}
MAX_REJECTED_SHARE = 0.01
"""A rate is not sustained above this share of rejected requests."""


@dataclass(frozen=True, slots=True)
class Step:
    """One measured rate. A rejected request is counted and has no latency."""

    wanted: float
    done: float
    """Successful requests a second."""
    rejected: dict[str, int]
    """Number of rejected requests by response."""
    whole: Timing
    by_op: dict[Op, Timing]
    cores: dict[str, float]

    @property
    def sustained(self) -> bool:
        """Whether the rate was reached within the latency limit and with few rejected requests."""
        few = sum(self.rejected.values()) <= MAX_REJECTED_SHARE * (self.whole.calls or 1)
        return self.whole.p99 <= MAX_P99_MILLISECONDS and self.done >= 0.95 * self.wanted and few

    def row(self) -> dict[str, Any]:
        """As in the file."""
        found = asdict(self)
        return found | {"refused": found.pop("rejected"), "kept": self.sustained}


@dataclass(frozen=True, slots=True)
class Figure:
    """A latency in milliseconds."""

    what: str
    value: float
    unit: str = "ms"

    @property
    def budget(self) -> str:
        return HTTP_BUDGETS.get(self.what, "")


@dataclass(frozen=True, slots=True)
class Run:
    steps: list[Step]
    figures: list[Figure]
    versions: dict[str, str]


async def step(runner: RequestRunner, made: Stack, rate: float, seconds: float) -> Step:
    """Warm up at one rate, then measure it."""
    await measure.at_rate(runner.ask, rate, WARM_UP_SECONDS)
    runner.reset()
    whole, by_op = Stopwatch(), {op: Stopwatch() for op in Op}

    def took(number: int, late: float) -> None:
        if number not in runner.rejected:
            whole.took(late)
            by_op[runner.ops[number]].took(late)

    before, began = stacked.cpu_seconds(made), time.monotonic()
    await measure.at_rate(runner.ask, rate, seconds, took)
    lasted = time.monotonic() - began
    spent = {name: round((now - before[name]) / lasted, 3) for name, now in stacked.cpu_seconds(made).items()}
    rejected: dict[str, int] = {}
    for reason in runner.rejected.values():
        rejected[reason] = rejected.get(reason, 0) + 1
    timing = whole.timing()
    timings = {op: timed for op, watch in by_op.items() if (timed := watch.timing()).calls}
    return Step(rate, round(timing.calls / lasted, 1), rejected, timing, timings, spent)


async def alone(runner: RequestRunner) -> list[Figure]:
    """One caller on an idle system: latency of the first calls, and after the warm-up."""
    asked = (
        ("friends page of 100", runner.page, WARM_UP_CALLS),
        ("friends page of 1,000", runner.whole_page, WARM_UP_CALLS // 10),  # the same graph query
        ("sync of 1,000 friends", runner.sync, WARM_UP_CALLS),
    )
    found = []
    for name, call, _ in asked:
        found += _percentiles(
            f"{name}, the first {COLD_CALLS} calls", await measure.one_by_one(call, COLD_CALLS)
        )
    for name, call, warm in asked:
        found += _percentiles(f"{name}, one caller", await measure.one_by_one(call, 300, warm))
    return found


async def half(runner: RequestRunner, rate: float, seconds: float) -> list[Figure]:
    """Syncs of users with 1,000 friends while the mix runs at half of the sustained rate."""
    async with asyncio.TaskGroup() as group:
        group.create_task(measure.at_rate(runner.ask, rate / 2, seconds))
        probes = group.create_task(measure.at_rate(runner.sync, PROBES_PER_SECOND, seconds))
    return _percentiles("sync of 1,000 friends, half load", probes.result())


def _percentiles(name: str, timing: Timing) -> list[Figure]:
    found = [Figure(f"{name}, p{share}", age) for share, age in ((50, timing.p50), (99, timing.p99))]
    for one in found:
        console.print(f"{one.what}: {one.value:.1f} ms {one.budget}")
    return found


async def run(population: Population, seed: int, rates: Sequence[float], seconds: float) -> Run:
    """One caller first, then rising rates until one is not sustained, then half of the highest sustained rate."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        data, connection_file = await load(Path(name), population, seed), Path(name) / "stack.json"
        async with stacked.system(data, connection_file) as made:
            where = read_connection_info(connection_file)
            await stacked.until_idle(made)  # the start's reconcile would correct the users flagged below
            async with connect(where.settings) as graph:
                online = random.Random(seed).sample(population.ids, int(ONLINE * len(population.ids)))
                await flag(graph, online)
            backend = Backend(connection_info=where, on_reply=lambda _user, _body, _at: None)
            runner, steps = RequestRunner(backend=backend, population=population, seed=seed), []
            single = await alone(runner)
            for rate in rates:
                steps.append(await step(runner, made, rate, seconds))
                console.print(_reported(steps[-1]))
                if not steps[-1].sustained:
                    break
                await asyncio.sleep(1.0)
            await asyncio.sleep(3.0)
            single += await half(runner, best(steps).wanted, max(10.0, seconds))
            backend.close()
            return Run(steps, single, stacked.versions(made))


def _reported(one: Step) -> str:
    busy = ", ".join(f"{name} {share:.2f}" for name, share in one.cores.items())
    return (
        f"{one.wanted:,.0f}/s: {one.done:,.0f} done, {sum(one.rejected.values())} rejected, p50 {one.whole.p50:.1f} ms, "
        f"p99 {one.whole.p99:.1f} ms; cores: {busy} {one.rejected or ''}"
    )


def best(steps: Sequence[Step]) -> Step:
    """The highest sustained rate, or the first rate."""
    return max((one for one in steps if one.sustained), key=lambda one: one.wanted, default=steps[0])


def tables(steps: Sequence[Step]) -> list[Table]:
    """One table by rate, and one by operation at the highest sustained rate."""
    rates = Table(
        "wanted/s", "done/s", "rejected", "p50", "p95", "p99", "sustained", title="The mix (milliseconds)"
    )
    for one in steps:
        ages = [f"{age:,.1f}" for age in (one.whole.p50, one.whole.p95, one.whole.p99)]
        counts = (f"{one.wanted:,.0f}", f"{one.done:,.0f}", str(sum(one.rejected.values())))
        rates.add_row(*counts, *ages, "yes" if one.sustained else "[red]no[/red]")
    top = best(steps)
    ops = Table("operation", "calls", "p50", "p99", title=f"At {top.wanted:,.0f} a second")
    for op, timed in top.by_op.items():
        ops.add_row(op, f"{timed.calls:,}", f"{timed.p50:,.1f}", f"{timed.p99:,.1f}")
    return [rates, ops]


def figures(made: Run) -> dict[str, Any]:
    """The figures of the run, as in the file."""
    steps, top = made.steps, best(made.steps)
    sustained = {
        "what": "mix of reads and writes sustained",
        "value": top.done if top.sustained else 0.0,
        "unit": "calls/s",
        "budget": "",
    }
    return {
        "limitMs": MAX_P99_MILLISECONDS,
        "mix": {op.value: round(share, 4) for op, share in workload.mix().items()},
        "results": [sustained, *(asdict(one) | {"budget": one.budget} for one in made.figures)],
        "steps": [one.row() for one in steps],
    }


def main(
    people: Annotated[int, typer.Option(help="How many users.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends of a user.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Seed of population and requests.")] = 1,
    seconds: Annotated[float, typer.Option(help="Seconds that each rate is measured.")] = 10.0,
    rates: Annotated[str, typer.Option(help="Requests a second, rising.")] = RATES,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart next to them.")
    ] = None,
) -> None:
    """Run LinkBench's mix against the API at rising rates."""
    low, high = (int(word) for word in friends.split("-"))
    before, began = measure.machine(), time.monotonic()
    population = generate(people, low, high, seed)
    found = uvloop.run(run(population, seed, [float(rate) for rate in rates.split(",")], seconds))
    steps = found.steps
    Console().print(*tables(steps))
    if out:
        document = {
            "command": " ".join(["python -m bench.graph.mix", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"people": people, "friends": friends, "seed": seed, "online": ONLINE},
            "seconds": round(time.monotonic() - began),
            "versions": found.versions,
            **figures(found),
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        rows = [(op.value, {"p50": t.p50, "p99": t.p99}) for op, t in best(steps).by_op.items()]
        title = f"The mix at {best(steps).wanted:,.0f} requests a second, {people:,} users"
        out.with_suffix(".svg").write_text(bars.bars(title, "ms", rows), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
