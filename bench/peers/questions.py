"""Graph queries on the friendships of the comparison: Neo4j by our own classes, PostgreSQL in the best SQL we can write."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph import postgres_server
from bench.graph.postgres import Postgres
from bench.graph.questions import Question, Subjects, questions
from bench.harness.loaded import flag, options
from bench.peers.friends import Friends
from bench.peers.play import Report
from graph_service.graph.driver import Graph, connect
from graph_service.settings import Settings
from local_stack.data.generate import Population
from local_stack.engines.launcher import Options
from local_stack.engines.launcher import running as engines_running

QUERIES = (
    "friends page of 100",
    "online friends of a user with 1000",
    "mutual friends, page of 100",
    "suggestions, first call",
    "suggestions, cached",
)
COUPLES = 400


async def measure_queries(data: Path, friends: Friends, report: Report) -> dict[str, Any]:
    """Figures of both databases. Without PostgreSQL the reason is reported and its figures are left out."""
    population = friends.population()
    online = [population.ids[one] for one in friends.online]
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(_graph(data, online))
        sql = await _postgres(stack, population, online, report)
        versions = {"Neo4j": await graph.agent()} | ({"PostgreSQL": await sql.version()} if sql else {})
        chosen = [one for one in questions(graph, sql, _subjects(population)) if one.name in QUERIES]
        return {"versions": versions, "results": [await _measure(one, report) for one in chosen]}


async def _measure(question: Question, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {"question": question.name}
    for engine, timing in (await question.timings()).items():
        found[engine] = asdict(timing)
        report(f"{question.name}, {engine}: p50 {timing.p50:.2f} ms, p95 {timing.p95:.2f} ms")
    return found


@asynccontextmanager
async def _graph(data: Path, online: list[str]) -> AsyncIterator[Graph]:
    copy = data.with_name("asked")
    shutil.copytree(data, copy, symlinks=True)
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, copy, ignore_errors=True)
        engines = await stack.enter_async_context(engines_running(copy, Options(), environ={}))
        graph = await stack.enter_async_context(connect(Settings.model_validate(options(engines))))
        await flag(graph, online)
        yield graph


async def _postgres(
    stack: AsyncExitStack, population: Population, online: list[str], report: Report
) -> Postgres | None:
    try:
        socket = stack.enter_context(postgres_server.running())
    except (postgres_server.PostgresUnavailable, OSError) as problem:
        report(f"without PostgreSQL: {problem}")
        return None
    sql = await stack.enter_async_context(Postgres.open(socket))
    await sql.load(population, online, [population.pairs])
    return sql


def _subjects(population: Population) -> Subjects:
    ids, draw = population.ids, np.random.default_rng(7)
    chosen = population.pairs[draw.integers(len(population.pairs), size=COUPLES)].tolist()
    counts = np.bincount(population.pairs.ravel(), minlength=len(ids))
    busiest = ids[int(counts.argmax())]
    return Subjects(ids, busiest, busiest, [(ids[a], ids[b]) for a, b in chosen], [])
