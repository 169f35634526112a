"""LinkBench's mix of reads and writes against the API, at rising rates: how long each operation takes, and when it is
too much.

Open loop: calls begin when they are due, and the wait counts. Knows how each operation is asked over HTTP and how
figures are shown; the mix itself is `bench.workload`'s. Run it with ``make bench-mix``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench import chart, measure, stacked, workload
from bench.loaded import ONLINE, flag, load
from bench.measure import Stopwatch, Timing
from bench.wire_people import TROUBLES, Wire
from bench.workload import Op, Popular
from graph_service.neo4j import connect
from local_stack.generate import Population, generate
from local_stack.up import Stack
from pubnub_bridge.stack_file import reach

console = Console(stderr=True)
RATES = "50,100,200,400,800,1600"
WARM = 3.0
LIMIT_MS = 500.0
REFUSED = 0.01
"""The share of calls sent away above which a rate is too much."""


class Neighbours:
    """Who is whose friend in a made-up population."""

    def __init__(self, population: Population) -> None:
        both = np.concatenate([population.pairs, population.pairs[:, ::-1]])
        self._friends = both[np.argsort(both[:, 0], kind="stable"), 1]
        self._begins = np.searchsorted(np.sort(both[:, 0]), np.arange(len(population.ids) + 1))
        self._ids = population.ids
        self._places = {user: place for place, user in enumerate(population.ids)}

    def one(self, user: str, chance: random.Random) -> str:
        """A friend, as the population was made."""
        place = self._places[user]
        begin, end = int(self._begins[place]), int(self._begins[place + 1])
        return self._ids[int(self._friends[chance.randrange(begin, end)])]


class Asker:
    """Asks the API one operation after the other, as the mix has them."""

    def __init__(self, wire: Wire, population: Population, seed: int) -> None:
        chance = self._chance = random.Random(seed)
        self._wire = wire
        self._popular = Popular(population.ids, chance)
        self._neighbours = Neighbours(population)
        self._drawn = workload.operations(chance, workload.mix())
        self._asked: deque[tuple[str, str]] = deque(maxlen=10_000)
        self.ops: dict[int, Op] = {}
        """Of the calls under way or done, by their numbers."""
        self.refused: dict[int, str] = {}
        """Which calls were not answered well, and how."""

    def begin(self) -> None:
        """Forget what was asked."""
        self.ops.clear()
        self.refused.clear()

    async def ask(self, number: int) -> None:
        """The next operation."""
        op = self.ops[number] = next(self._drawn)
        method, path, user = self._call(op)
        try:
            await self._wire.call(method, path, user)
        except TROUBLES as trouble:
            self.refused[number] = str(trouble)[:60]

    def _call(self, op: Op) -> tuple[str, str, str]:
        """Method, path and caller."""
        if op is Op.ACCEPT and self._asked:
            asker, asked = self._asked.popleft()
            return "PUT", f"/v1/friends/{asker}", asked
        if op in {Op.ASK, Op.ACCEPT, Op.BLOCK}:
            return self._meets(op)
        me = self._popular.one(workload.WRITE_SHAPE if op is Op.REMOVE else workload.READ_SHAPE)
        friend = self._neighbours.one(me, self._chance)
        path = {
            Op.PAGE: "/v1/friends?limit=100",
            Op.ONLINE: "/v1/sync",
            Op.SUGGESTIONS: "/v1/suggestions",
            Op.MUTUAL: f"/v1/friends/{friend}/mutual?limit=100",
        }
        method = "DELETE" if op is Op.REMOVE else "GET"
        return method, path.get(op, f"/v1/friends/{friend}"), me

    def _meets(self, op: Op) -> tuple[str, str, str]:
        """Two who need not know each other; an acceptance without a request is one more request."""
        me, other = (self._popular.one(workload.WRITE_SHAPE) for _ in range(2))
        while other == me:
            other = self._popular.one(workload.WRITE_SHAPE)
        if op is Op.BLOCK:
            return "PUT", f"/v1/blocks/{other}", me
        self._asked.append((me, other))
        return "PUT", f"/v1/friends/{other}", me


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


async def run(population: Population, seed: int, rates: Sequence[float], seconds: float) -> list[Step]:
    """Rising rates, until one is too much."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        data, told = await load(Path(name), population, seed), Path(name) / "stack.json"
        async with stacked.system(data, told) as made:
            where = reach(told)
            async with connect(where.settings) as graph:
                online = random.Random(seed).sample(population.ids, int(ONLINE * len(population.ids)))
                await flag(graph, online)
            wire = Wire(where, lambda _user, _body, _at: None)
            asker, steps = Asker(wire, population, seed), []
            for rate in rates:
                steps.append(await step(asker, made, rate, seconds))
                console.print(_said(steps[-1]))
                if not steps[-1].kept:
                    break
                await asyncio.sleep(1.0)
            wire.close()
            return steps


def _said(one: Step) -> str:
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


def figures(steps: Sequence[Step]) -> dict[str, Any]:
    """What the file keeps of the run."""
    top = best(steps)
    held = {"what": "mix of reads and writes sustained", "value": top.done, "unit": "calls/s", "budget": ""}
    return {
        "limitMs": LIMIT_MS,
        "mix": {op.value: round(share, 4) for op, share in workload.mix().items()},
        "results": [held],
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
    steps = uvloop.run(run(population, seed, [float(rate) for rate in rates.split(",")], seconds))
    Console().print(*tables(steps))
    if out:
        kept = {
            "command": " ".join(["python -m bench.mix", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"people": people, "friends": friends, "seed": seed, "online": ONLINE},
            "seconds": round(time.monotonic() - began),
            **figures(steps),
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        rows = [(op.value, {"p50": t.p50, "p99": t.p99}) for op, t in best(steps).by_op.items()]
        title = f"The mix at {best(steps).wanted:,.0f} calls a second, {people:,} people"
        out.with_suffix(".svg").write_text(chart.bars(title, "ms", rows), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
