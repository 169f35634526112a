"""Graph benchmark: the same queries on Neo4j and on PostgreSQL, with one generated population in one run.

Run it with ``make bench-graph``; ``--json FILE`` stores the figures and a chart.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.charts import bars
from bench.graph import postgres_server
from bench.graph.postgres import Postgres
from bench.graph.questions import Question, Subjects, questions
from bench.harness import measure
from bench.harness.loaded import ONLINE, flag, load, options
from bench.harness.measure import Round, Timing
from graph_service.friends.bulk import MAX_PAIRS, Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph, connect
from graph_service.model.model import Pair
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from local_stack.data.generate import Population, clustering, generate
from local_stack.engines.launcher import Options, running

console = Console(stderr=True)
MAX_FRIENDS = 10_000
CAPPED_USER = "zz-at-the-cap"
NON_FRIEND_PAIRS = 4000
RESULT = Path("docs/benchmarks/graph.json")


@dataclass(frozen=True)
class Plan:
    """The population and the databases."""

    people: int
    low: int
    high: int
    seed: int
    has_postgres: bool


@dataclass(frozen=True)
class Measured:
    """One query's figures by database."""

    question: Question
    timings: dict[str, Timing]


def main(
    people: Annotated[int, typer.Option(help="How many users.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends of a user.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Seed of the population.")] = 1,
    no_postgres: Annotated[bool, typer.Option("--no-postgres", help="Measure Neo4j alone.")] = False,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart next to them.")
    ] = None,
) -> None:
    """Measure the graph queries on Neo4j and PostgreSQL."""
    low, high = (int(word) for word in friends.split("-"))
    plan = Plan(people, low, high, seed, not no_postgres)
    figures, measured = asyncio.run(_run(plan))
    _print(measured)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        rows = [(one.question.name, {k: t.p50 for k, t in one.timings.items()}) for one in measured]
        title = f"Median latency of a query: {people:,} users, {friends} friends each"
        out.with_suffix(".svg").write_text(bars.bars(title, "ms", rows), encoding="utf-8")


async def _run(plan: Plan) -> tuple[dict[str, Any], list[Measured]]:
    began, before = time.monotonic(), measure.machine()
    population = generate(plan.people, plan.low, plan.high, plan.seed)
    console.print(f"{len(population.pairs):,} friendships generated; loading both databases")
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(_graph(population, plan.seed))
        capped = await _make_capped(graph, population)
        sql = await _postgres(stack, population, capped) if plan.has_postgres else None
        console.print(f"loaded after {time.monotonic() - began:.0f} s")
        subjects = _subjects(population)
        cold = await _from_cold(next(questions(graph, None, subjects)))
        measured = [await _measure(question) for question in questions(graph, sql, subjects)]
        versions = {"Neo4j": await graph.agent()} | ({"PostgreSQL": await sql.version()} if sql else {})
    took = time.monotonic() - began
    figures = {
        "command": " ".join(["python -m bench.graph.queries", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "versions": versions,
        "population": {
            **asdict(plan),
            "friendships": len(population.pairs),
            "clustering": round(clustering(population.pairs, plan.people), 3),
            "online": ONLINE,
        },
        "seconds": round(took),
        "results": [_figures(one) for one in measured],
        "fromCold": [asdict(one) for one in cold],
    }
    return figures, measured


async def _from_cold(question: Question) -> list[Round]:
    """Run the first query on a new server until its latency is steady. Otherwise the query that comes first seems slow."""
    rounds = await measure.until_steady(question.graph)
    for one in rounds:
        console.print(f"{question.name}, call {one.calls}: p50 {one.p50:.2f} ms, p99 {one.p99:.2f} ms")
    return rounds


@asynccontextmanager
async def _graph(population: Population, seed: int) -> AsyncIterator[Graph]:
    """Neo4j with the population, loaded by the offline import, 30 % online."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        folder = Path(name)
        data = await load(folder, population, seed)
        async with running(data, Options(), environ={}) as engines:
            settings = Settings.model_validate(options(engines))
            async with connect(settings) as graph:
                await flag(graph, _online(population))
                yield graph


async def _make_capped(graph: Graph, population: Population) -> list[int]:
    """Create a user with the maximum of friends; returns the indices of these friends."""
    count = min(MAX_FRIENDS, len(population.ids))
    friends = random.Random(4).sample(range(len(population.ids)), count)
    await Users(
        graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
    ).upsert_many([UserProfile(CAPPED_USER, "At the Cap")])
    for start in range(0, count, MAX_PAIRS):
        pairs = [
            Pair(CAPPED_USER, population.ids[one], 1_700_000_000)
            for one in friends[start : start + MAX_PAIRS]
        ]
        await Bulk(graph=graph, friend_limit=MAX_FRIENDS, changed=ignore_changes).batch(pairs, notify=False)
    return friends


async def _postgres(stack: AsyncExitStack, population: Population, capped: list[int]) -> Postgres | None:
    try:
        socket = stack.enter_context(postgres_server.running())
    except (postgres_server.PostgresUnavailable, OSError) as problem:
        console.print(f"without PostgreSQL: {problem}")
        return None
    sql = await stack.enter_async_context(Postgres.open(socket))
    all_users = Population(
        [*population.ids, CAPPED_USER], [*population.names, "At the Cap"], population.pairs, 0, 0
    )
    edges = np.array([[one, len(population.ids)] for one in capped])
    await sql.load(all_users, _online(population), [population.pairs, edges])
    return sql


def _online(population: Population) -> list[str]:
    return random.Random(2).sample(population.ids, int(ONLINE * len(population.ids)))


def _subjects(population: Population) -> Subjects:
    ids, draw = population.ids, np.random.default_rng(7)
    chosen = population.pairs[draw.integers(len(population.pairs), size=400)].tolist()
    couples = [(ids[a], ids[b]) for a, b in chosen]
    return Subjects(ids, _busiest(population), CAPPED_USER, couples, _non_friends(population))


def _busiest(population: Population) -> str:
    counts = np.bincount(population.pairs.ravel(), minlength=len(population.ids))
    return population.ids[int(counts.argmax())]


def _non_friends(population: Population) -> list[tuple[str, str]]:
    users, draw = len(population.ids), np.random.default_rng(6)
    pairs = draw.integers(users, size=(4 * NON_FRIEND_PAIRS, 2))
    known = set((population.pairs[:, 0] * users + population.pairs[:, 1]).tolist())
    wanted = {
        (int(min(pair)), int(max(pair))): None
        for pair in pairs.tolist()
        if pair[0] != pair[1] and min(pair) * users + max(pair) not in known
    }
    return [(population.ids[a], population.ids[b]) for a, b in list(wanted)[:NON_FRIEND_PAIRS]]


async def _measure(question: Question) -> Measured:
    timings = await question.timings()
    for engine, timing in timings.items():
        console.print(f"{question.name:40} {engine:11} p50 {timing.p50:8.2f} ms, p99 {timing.p99:8.2f} ms")
    return Measured(question, timings)


def _figures(one: Measured) -> dict[str, Any]:
    question = one.question
    return {
        "question": question.name,
        "clients": question.clients,
        "budget": question.budget or None,
        **{
            engine: asdict(timing) | {"perSecond": round(timing.rate * question.per_call, 1)}
            for engine, timing in one.timings.items()
        },
    }


def _print(measured: list[Measured]) -> None:
    table = Table("question", "engine", "p50 ms", "p95 ms", "p99 ms", "a second", "budget")
    for one in measured:
        for engine, timing in one.timings.items():
            rate = timing.rate * one.question.per_call
            cells = (f"{timing.p50:.2f}", f"{timing.p95:.2f}", f"{timing.p99:.2f}", f"{rate:,.0f}")
            table.add_row(one.question.name, engine, *cells, one.question.budget)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
