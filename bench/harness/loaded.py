"""A made-up population in Neo4j, by its own import and partly online: what every benchmark of the graph begins with."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from local_stack.data import generated_csv, offline
from local_stack.data.generate import Population
from local_stack.engines.launcher import Engines

ONLINE = 0.3
BATCH = 500
DATA = "data"
"""The data folder in a benchmark's own."""
KEPT = "BENCH_POPULATIONS"
"""The option that names a folder where imported populations are kept, so that `make bench` imports each once."""
_LONG_AGO = 1_700_000_000_000


async def load(folder: Path, population: Population, seed: int) -> Path:
    """Imports the population, or copies what another benchmark imported; returns the data folder, on which engines
    may be started."""
    kept = _kept(population, seed)
    if kept and kept.exists():
        await asyncio.to_thread(shutil.copytree, kept, folder / DATA)
        return folder / DATA
    generated_csv.write(population, folder, seed)
    await import_csv(folder)
    if kept:
        await asyncio.to_thread(shutil.copytree, folder / DATA, kept)
    return folder / DATA


def _kept(population: Population, seed: int) -> Path | None:
    """Where this population is kept, when any are."""
    if not (kept := os.environ.get(KEPT)):
        return None
    return Path(kept) / f"{len(population.ids)}-{population.low}-{population.high}-{seed}"


async def import_csv(folder: Path) -> offline.Imported:
    """Imports the two files that lie in the folder into its data folder, and removes them."""
    paths = (folder / generated_csv.PEOPLE, folder / generated_csv.FRIENDSHIPS)
    imported = await offline.load(folder / DATA, offline.Sources(*paths, Settings()))
    for path in paths:
        path.unlink()
    return imported


def options(engines: Engines) -> dict[str, str]:
    """The options by which a service uses these engines."""
    return {
        "environment": "development",
        "neo4j_uri": engines.neo4j.uri,
        "neo4j_user": engines.neo4j.user,
        "neo4j_password": engines.neo4j.password,
        "redis_url": engines.redis_url,
    }


async def flag(graph: Graph, users: list[str]) -> None:
    """Flags users online, batch by batch."""
    shards = ShardMap()
    for start in range(0, len(users), BATCH):
        rows = [Flag(user, True, _LONG_AGO, shards.shard(user)) for user in users[start : start + BATCH]]
        await Flags(graph=graph).write_flags(rows)
