"""Commit benchmark: users committed and read a second by batch size and number of friends, and syncs over HTTP.

Uses the bridge's own classes: the commit, then the read. One query a user is a batch of one. Run it with
``make bench-settling``; ``--json FILE`` stores the figures and a chart.
"""

from __future__ import annotations

import asyncio
import cProfile
import itertools
import json
import pstats
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.charts import bars
from bench.graph import syncing
from bench.harness import degrees, measure
from bench.harness.http_load import cpu_s
from bench.harness.loaded import ONLINE, flag, load, options
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph, connect
from graph_service.model.model import Flag
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from local_stack.engines.launcher import Engines, Options, running

console = Console(stderr=True)
BATCH_SIZES = (1, 50, 500)
SHARDS = ShardMap()
CONCURRENT_WRITERS = 16
"""Concurrent writers with one query a user: as many as one process allows."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One combination of friends, batch size and writers."""

    friends: int
    batch: int
    clients: int
    users_per_second: float
    settle_ms: float
    """Milliseconds of one batch until its flags are committed."""
    tell_ms: float
    """Milliseconds of one batch to read state and online friends."""
    neo4j_cpu_ms: float
    """Of the server's process, per user."""
    python_cpu_ms: float
    """Of this process, per user."""
    driver_share: float
    """The share of Python's CPU spent in the driver, by a separate profile; the rest is asyncio and our own code."""


@dataclass(slots=True)
class Writer:
    """Commits users of one group in round robin, each time to the other state."""

    flags: Flags
    users: Iterator[str]
    pid: int
    commit_seconds: float = 0.0
    read_seconds: float = 0.0
    at: int = 1_800_000_000_000

    async def batch(self, size: int) -> None:
        users = list(dict.fromkeys(itertools.islice(self.users, size)))
        self.at += 1
        began = time.perf_counter()
        await self.flags.write_flags(
            [Flag(one, self.at % 2 == 0, self.at, SHARDS.shard(one)) for one in users]
        )
        between = time.perf_counter()
        await self.flags.read_snapshots(users)
        self.commit_seconds += between - began
        self.read_seconds += time.perf_counter() - between

    async def batches(self, size: int, clients: int, seconds: float) -> int:
        """Run batches for `seconds`; returns their number."""
        end, done = time.perf_counter() + seconds, 0

        async def client() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await self.batch(size)
                done += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
        return done


def main(
    seconds: Annotated[
        float, typer.Option(help="Seconds that each combination lasts, without warm-up.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of the population.")] = 1,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure commits and syncs."""
    before, began = measure.machine(), time.monotonic()
    figures, syncs, agent = uvloop.run(_run(seed, seconds))
    _print(figures, syncs)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "command": " ".join(["python -m bench.bridge.commit", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "versions": {"Neo4j": agent},
            "population": {"crowd": degrees.CROWD, "seed": seed, "online": ONLINE},
            "seconds": round(time.monotonic() - began),
            "results": [asdict(one) for one in figures],
            "syncs": [asdict(one) for one in syncs],
        }
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        rows = _rates(figures)
        out.with_suffix(".svg").write_text(
            bars.bars("Users committed and read a second", "users/s", rows), encoding="utf-8"
        )


async def _run(seed: int, seconds: float) -> tuple[list[Figures], list[syncing.Figures], str]:
    population, groups = degrees.population(seed)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fp-bench-")))
        data = await load(folder, population, seed)
        engines = await stack.enter_async_context(running(data, Options(), environ={}))
        settings = Settings.model_validate(options(engines))
        graph = await stack.enter_async_context(connect(settings))
        online = random.Random(seed).sample(population.ids[: degrees.CROWD], int(ONLINE * degrees.CROWD))
        await flag(graph, online)
        figures = await _measure_commits(graph, engines, groups, seconds)
        syncs = await syncing.measured(engines, groups[1000], folder / "service.log", 2 * seconds)
        return figures, syncs, await graph.agent()


async def _measure_commits(
    graph: Graph, engines: Engines, groups: dict[int, list[str]], seconds: float
) -> list[Figures]:
    figures = []
    server = engines.neo4j.server
    pid = server.pid if server else None
    assert pid
    for friends, users in groups.items():
        writer = Writer(Flags(graph=graph), itertools.cycle(users), pid)
        await writer.batches(50, 1, seconds)  # plans, caches and the JVM warm up
        for size, clients in [*((size, 1) for size in BATCH_SIZES), (1, CONCURRENT_WRITERS)]:
            if size <= len(users):
                figures.append(await _measured(writer, friends, (size, clients), seconds))
                console.print(_line(figures[-1]))
    return figures


async def _measured(writer: Writer, friends: int, how: tuple[int, int], seconds: float) -> Figures:
    size, clients = how
    await writer.batches(size, clients, seconds / 4)
    writer.commit_seconds = writer.read_seconds = 0.0
    began, server, own = time.perf_counter(), cpu_s(writer.pid), time.process_time()
    batches = await writer.batches(size, clients, seconds)
    took, own, server = (
        time.perf_counter() - began,
        time.process_time() - own,
        cpu_s(writer.pid) - server,
    )
    users = batches * size
    return Figures(
        friends=friends,
        batch=size,
        clients=clients,
        users_per_second=users / took,
        settle_ms=1000 * writer.commit_seconds / batches,
        tell_ms=1000 * writer.read_seconds / batches,
        neo4j_cpu_ms=1000 * server / users,
        python_cpu_ms=1000 * own / users,
        driver_share=await _driver_share(writer, size, max(1, min(batches, 500 // size))),
    )


async def _driver_share(writer: Writer, size: int, batches: int) -> float:
    """The share of CPU that a profile of some batches attributes to the driver's package."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for _ in range(batches):
        await writer.batch(size)
    profile.disable()
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = vars(pstats.Stats(profile))[
        "stats"
    ]
    spent = [(name, row[2]) for (name, _, _), row in stats.items()]
    whole = sum(seconds for _, seconds in spent)
    return sum(seconds for name, seconds in spent if "/neo4j/" in name) / whole if whole else 0.0


def _line(one: Figures) -> str:
    how = f"batches of {one.batch}" if one.clients == 1 else f"one a query, {one.clients} concurrent"
    return f"{one.friends:5} friends, {how:24} {one.users_per_second:8,.0f} users/s"


def _rates(figures: Sequence[Figures]) -> list[tuple[str, dict[str, float]]]:
    groups: dict[str, dict[str, float]] = {}
    for one in figures:
        name = f"batch {one.batch}" if one.clients == 1 else f"1, {one.clients} concurrent"
        groups.setdefault(f"{one.friends} friends", {})[name] = one.users_per_second
    return list(groups.items())


def _print(figures: Sequence[Figures], syncs: Sequence[syncing.Figures]) -> None:
    columns = (
        "friends",
        "batch",
        "concurrent",
        "users/s",
        "commit ms",
        "read ms",
        "Neo4j CPU ms/user",
        "Python",
        "driver",
    )
    table = Table(*columns)
    for one in figures:
        table.add_row(
            f"{one.friends:,}",
            f"{one.batch}",
            f"{one.clients}",
            f"{one.users_per_second:,.0f}",
            f"{one.settle_ms:,.2f}",
            f"{one.tell_ms:,.2f}",
            f"{one.neo4j_cpu_ms:.3f}",
            f"{one.python_cpu_ms:.3f}",
            f"{one.driver_share:.0%}",
        )
    Console().print(table, syncing.table(syncs))


if __name__ == "__main__":
    typer.run(main)
