"""Settling by batch and by number of friends, and syncs over HTTP: how many users a second, and whose time it is.

Knows what is compared and how it is shown. Settling is what the bridge does (commit, then read), by its own classes;
one query a user is the same with batches of one. Run it with ``make bench-settling``; ``--json FILE`` keeps the figures,
with a chart beside.
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
BATCHES = (1, 50, 500)
SHARDS = ShardMap()
CLIENTS = 16
"""Writers at once where each user has a query of its own: as many as one process lets write."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One way of settling."""

    friends: int
    batch: int
    clients: int
    users_per_second: float
    settle_ms: float
    """Of one batch: the flags committed."""
    tell_ms: float
    """Of one batch: state and online friends read."""
    neo4j_cpu_ms: float
    """Of the server's process, for each user."""
    python_cpu_ms: float
    """Of this process, for each user."""
    driver_share: float
    """How much of Python's CPU is spent in the driver, by a profile apart; the rest is asyncio and our own."""


@dataclass(slots=True)
class Writer:
    """Settles users of one group, in turn, each time to the other state."""

    flags: Flags
    turns: Iterator[str]
    pid: int
    settled_s: float = 0.0
    told_s: float = 0.0
    at: int = 1_800_000_000_000

    async def batch(self, size: int) -> None:
        """One batch: commit, then read."""
        users = list(dict.fromkeys(itertools.islice(self.turns, size)))
        self.at += 1
        began = time.perf_counter()
        await self.flags.write_flags(
            [Flag(one, self.at % 2 == 0, self.at, SHARDS.shard(one)) for one in users]
        )
        between = time.perf_counter()
        await self.flags.read_snapshots(users)
        self.settled_s += between - began
        self.told_s += time.perf_counter() - between

    async def batches(self, size: int, clients: int, seconds: float) -> int:
        """For so long; returns how many."""
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
    seconds: Annotated[float, typer.Option(help="How long each way lasts, warm-up apart.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Of the population.")] = 1,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure settling and syncs."""
    before, began = measure.machine(), time.monotonic()
    figures, syncs, agent = uvloop.run(_run(seed, seconds))
    _print(figures, syncs)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        kept = {
            "command": " ".join(["python -m bench.bridge.commit", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "versions": {"Neo4j": agent},
            "population": {"crowd": degrees.CROWD, "seed": seed, "online": ONLINE},
            "seconds": round(time.monotonic() - began),
            "results": [asdict(one) for one in figures],
            "syncs": [asdict(one) for one in syncs],
        }
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        rows = _rates(figures)
        out.with_suffix(".svg").write_text(
            bars.bars("Users settled a second, then read", "users/s", rows), encoding="utf-8"
        )


async def _run(seed: int, seconds: float) -> tuple[list[Figures], list[syncing.Figures], str]:
    people, groups = degrees.population(seed)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fp-bench-")))
        data = await load(folder, people, seed)
        engines = await stack.enter_async_context(running(data, Options(), environ={}))
        settings = Settings.model_validate(options(engines))
        graph = await stack.enter_async_context(connect(settings))
        online = random.Random(seed).sample(people.ids[: degrees.CROWD], int(ONLINE * degrees.CROWD))
        await flag(graph, online)
        figures = await _settling(graph, engines, groups, seconds)
        syncs = await syncing.measured(engines, groups[1000], folder / "service.log", 2 * seconds)
        return figures, syncs, await graph.agent()


async def _settling(
    graph: Graph, engines: Engines, groups: dict[int, list[str]], seconds: float
) -> list[Figures]:
    figures = []
    server = engines.neo4j.server
    pid = server.pid if server else None
    assert pid
    for friends, users in groups.items():
        writer = Writer(Flags(graph=graph), itertools.cycle(users), pid)
        await writer.batches(50, 1, seconds)  # plans, caches and the server's compiler warm up
        for size, clients in [*((size, 1) for size in BATCHES), (1, CLIENTS)]:
            if size <= len(users):
                figures.append(await _measured(writer, friends, (size, clients), seconds))
                console.print(_line(figures[-1]))
    return figures


async def _measured(writer: Writer, friends: int, how: tuple[int, int], seconds: float) -> Figures:
    size, clients = how
    await writer.batches(size, clients, seconds / 4)
    writer.settled_s = writer.told_s = 0.0
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
        settle_ms=1000 * writer.settled_s / batches,
        tell_ms=1000 * writer.told_s / batches,
        neo4j_cpu_ms=1000 * server / users,
        python_cpu_ms=1000 * own / users,
        driver_share=await _driver_share(writer, size, max(1, min(batches, 500 // size))),
    )


async def _driver_share(writer: Writer, size: int, batches: int) -> float:
    """Of the CPU of some batches by a profile: what is spent inside the driver's package."""
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
    how = f"batches of {one.batch}" if one.clients == 1 else f"one a query, {one.clients} at once"
    return f"{one.friends:5} friends, {how:24} {one.users_per_second:8,.0f} users/s"


def _rates(figures: Sequence[Figures]) -> list[tuple[str, dict[str, float]]]:
    groups: dict[str, dict[str, float]] = {}
    for one in figures:
        name = f"batch {one.batch}" if one.clients == 1 else f"1, {one.clients} at once"
        groups.setdefault(f"{one.friends} friends", {})[name] = one.users_per_second
    return list(groups.items())


def _print(figures: Sequence[Figures], syncs: Sequence[syncing.Figures]) -> None:
    columns = (
        "friends",
        "batch",
        "at once",
        "users/s",
        "settle ms",
        "tell ms",
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
