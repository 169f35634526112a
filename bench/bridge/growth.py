"""Scaling benchmark: which costs grow with the population. One set of figures for each number of users.

The cost of one user must not depend on the number of others. So every figure is of one user or one friendship, and is
shown with its ratio to the smallest population. Run it with ``make bench-growth``, or ``make bench-large`` for 500,000
users (13 GB of disk); ``--json FILE`` stores the figures.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.bridge.pipeline import bytes_a_user
from bench.charts import bars
from bench.graph.questions import Question, Subjects, questions
from bench.harness import measure
from bench.harness.http_load import memory_kb
from bench.harness.loaded import DATA, ONLINE, flag, import_csv, options
from bench.harness.measure import Timing, at_once
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph, connect
from graph_service.graph.warmup import warm
from graph_service.settings import Settings
from local_stack.data import generated_csv
from local_stack.data.generate import Population, generate
from local_stack.engines.launcher import Engines, Options, running

console = Console(stderr=True)
MAX_FLAT_RATIO = 1.5
"""The largest ratio to the smallest population that counts as flat. The margin allows for noise and for a page cache
that is smaller than the larger store."""
QUESTIONS = (
    "friends page of 100",
    "suggestions, first call",
    "suggestions, cached",
    "commit and read 500 users",
)
"""Of `bench.graph.questions`. The sync is measured with random users here, since one user's is soon cached."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One population."""

    people: int
    low: int
    high: int
    seed: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One number at one population; with `flat` it must not grow with the population."""

    what: str
    value: float
    unit: str
    flat: bool = True

    def ratio_to(self, first: Figure) -> float:
        """The cost relative to that at another population. A lower rate is a higher cost."""
        return first.value / self.value if self.unit.endswith("/s") else self.value / first.value


@dataclass
class PopulationFigures:
    """One population and its figures."""

    people: int
    friendships: int
    memory: dict[str, int]
    """Neo4j's heap and page cache, in MiB."""
    figures: list[Figure] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str, flat: bool = True) -> None:
        """Store and print a figure."""
        console.print(f"{self.people:,} users: {what} {value:,.2f} {unit}")
        self.figures.append(Figure(what, round(value, 3), unit, flat))


def main(
    people: Annotated[list[int] | None, typer.Option(help="How many users; can be repeated.")] = None,
    friends: Annotated[str, typer.Option(help="Fewest and most friends of a user.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Seed of the populations.")] = 1,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Where stores are written during the run: at most 140 bytes of disk a friendship, 75 once imported."
        ),
    ] = None,
    heap: Annotated[
        int | None, typer.Option(help="Neo4j's heap in MiB; by default a share of the machine's memory.")
    ] = None,
    page_cache: Annotated[
        int | None, typer.Option(help="Neo4j's page cache in MiB; the same default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart next to them.")
    ] = None,
) -> None:
    """Measure populations of growing size, one after the other."""
    began, before = time.monotonic(), measure.machine()
    sizes, engines = sorted(people or [20_000, 100_000]), Options(heap=heap, page_cache=page_cache)
    low, high = (int(word) for word in friends.split("-"))
    grown = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="fp-growth-", dir=data) as name:
            plan = Plan(size, low, high, seed)
            grown.append(asyncio.run(_measured(Path(name), plan, engines)))
    print_table(grown)
    if out:
        document = {
            "command": " ".join(["python -m bench.bridge.growth", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"friends": friends, "seed": seed, "online": ONLINE},
            "seconds": round(time.monotonic() - began),
            "populations": [
                {"people": one.people, "friendships": one.friendships, **one.memory} for one in grown
            ],
            "results": results(grown),
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        out.with_suffix(".svg").write_text(_chart(grown, friends), encoding="utf-8")


async def _measured(folder: Path, plan: Plan, chosen: Options) -> PopulationFigures:
    """Generate one population, import it and measure everything."""
    friendships, subjects = _write_csv(folder, plan)
    memory = chosen.memory({})
    grown = PopulationFigures(
        plan.people, friendships, {"heapMiB": memory.heap, "pageCacheMiB": memory.page_cache}
    )
    await _import(grown, folder)
    async with running(folder / DATA, chosen, environ={}) as engines:
        async with connect(Settings.model_validate(options(engines))) as graph:
            await _warm(grown, graph, subjects.ids)
            await _questions(grown, graph, subjects)
        _memory(grown, engines)
    return grown


def _write_csv(folder: Path, plan: Plan) -> tuple[int, Subjects]:
    """Write the two CSV files; returns friendships and subjects. Frees the arrays, since the import has its own."""
    population = generate(plan.people, plan.low, plan.high, plan.seed)
    generated_csv.write(population, folder, plan.seed)
    return len(population.pairs), _subjects(population)


async def _import(grown: PopulationFigures, folder: Path) -> None:
    """The import as `friends-presence import --offline` does it, and the size of the store."""
    began = time.perf_counter()
    imported = await import_csv(folder)
    took = time.perf_counter() - began
    grown.add("import, checks included", took, "s", flat=False)
    grown.add("import, a million friendships", 1e6 * took / grown.friendships, "s")
    grown.add("of it Neo4j's own tool", imported.tool_seconds, "s", flat=False)
    store = folder / DATA / "neo4j" / "data" / "databases" / "neo4j"
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    grown.add("store", size / 2**20, "MiB", flat=False)
    grown.add("store, a friendship", size / grown.friendships, "bytes")


async def _warm(grown: PopulationFigures, graph: Graph, ids: Sequence[str]) -> None:
    """Read the whole graph once, and flag the share that is online. Neither is part of the later figures."""
    began = time.perf_counter()
    await warm(graph)
    grown.add("warm-up: everyone's friends read once", time.perf_counter() - began, "s", flat=False)
    await flag(graph, random.Random(2).sample(list(ids), int(ONLINE * len(ids))))


async def _questions(grown: PopulationFigures, graph: Graph, subjects: Subjects) -> None:
    flags, users = (
        Flags(graph=graph),
        random.Random(3).sample(list(subjects.ids), min(4000, len(subjects.ids))),
    )
    sync = Question("sync of a random user", lambda n: flags.sync(users[n % len(users)]), None, warm=300)
    wanted = [one for one in questions(graph, None, subjects) if one.name in QUESTIONS]
    for question in [sync, *wanted]:
        timing = await at_once(question.graph, question.calls, question.clients, question.warm)
        _add_timing(grown, question, timing)


def _add_timing(grown: PopulationFigures, question: Question, timing: Timing) -> None:
    if question.per_call > 1:
        grown.add("commit, then read", timing.rate * question.per_call, "users/s")
        return
    grown.add(f"{question.name}, p95", timing.p95, "ms")
    grown.add(f"{question.name}, p50", timing.p50, "ms")


def _memory(grown: PopulationFigures, engines: Engines) -> None:
    online = int(ONLINE * grown.people)
    grown.add("bridge's debouncer, a user online", bytes_a_user(online).value, "bytes")
    for server in engines.servers:
        if server.pid:
            grown.add(f"resident, {server.engine.name}", memory_kb(server.pid) / 1024, "MiB", flat=False)


def _subjects(population: Population) -> Subjects:
    ids = population.ids
    counts = np.bincount(population.pairs.ravel(), minlength=len(ids))
    busiest = ids[int(counts.argmax())]
    return Subjects(ids, busiest, busiest, [(busiest, ids[0])], [(busiest, ids[0])])


def results(grown: Sequence[PopulationFigures]) -> list[dict[str, Any]]:
    """The figures of each population; those that must be flat with their ratio to the smallest population."""
    first = {figure.what: figure for figure in grown[0].figures}
    return [
        {"what": f"{one.people:,} people: {figure.what}", "value": figure.value, "unit": figure.unit}
        | ({"times": round(figure.ratio_to(first[figure.what]), 3)} if figure.flat else {})
        for one in grown
        for figure in one.figures
    ]


def print_table(grown: Sequence[PopulationFigures]) -> None:
    """One row a figure, one column a population, and the ratio to the smallest for those that must be flat."""
    table = Table("what", *(f"{one.people:,}" for one in grown), "unit", "flat")
    for at, figure in enumerate(grown[0].figures):
        values = [one.figures[at].value for one in grown]
        most = max(one.figures[at].ratio_to(figure) for one in grown)
        verdict = ("yes" if most <= MAX_FLAT_RATIO else "NO") + f" (× {most:.2f})" if figure.flat else ""
        table.add_row(figure.what, *(f"{value:,.2f}" for value in values), figure.unit, verdict)
    Console().print(table)
    for one in grown:
        heap, cache = one.memory["heapMiB"], one.memory["pageCacheMiB"]
        Console().print(
            f"{one.people:,} users, {one.friendships:,} friendships: heap {heap:,} MiB, page cache {cache:,} MiB"
        )


def _chart(grown: Sequence[PopulationFigures], friends: str) -> str:
    rows = [
        (figure.what, {f"{one.people:,}": max(0.001, one.figures[at].value) for one in grown})
        for at, figure in enumerate(grown[0].figures)
        if figure.flat and figure.unit == "ms"
    ]
    return bars.bars(f"Cost of one user by population, {friends} friends each", "ms", rows)


if __name__ == "__main__":
    typer.run(main)
