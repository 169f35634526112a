"""A generated population in Neo4j, loaded by the offline import and partly flagged online: the start of every graph
benchmark."""

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
BATCH_USERS = 500
DATA = "data"
"""Name of the data folder in a benchmark's folder."""
POPULATIONS = "BENCH_POPULATIONS"
"""Environment variable: a folder for imported populations, so that `make bench` imports each only once."""
_FLAGGED_AT_MILLISECONDS = 1_700_000_000_000


async def load(folder: Path, population: Population, seed: int) -> Path:
    """Import the population, or copy an earlier import; returns a data folder for the databases."""
    cached = _cached(population, seed)
    if cached and cached.exists():
        await asyncio.to_thread(shutil.copytree, cached, folder / DATA)
        return folder / DATA
    generated_csv.write(population, folder, seed)
    await import_csv(folder)
    if cached:
        await asyncio.to_thread(shutil.copytree, folder / DATA, cached)
    return folder / DATA


def _cached(population: Population, seed: int) -> Path | None:
    """The folder of this population's import, None where imports are not cached."""
    if not (cached := os.environ.get(POPULATIONS)):
        return None
    return Path(cached) / f"{len(population.ids)}-{population.low}-{population.high}-{seed}"


async def import_csv(folder: Path) -> offline.Imported:
    """Import the folder's two CSV files into its data folder, and delete them."""
    paths = (folder / generated_csv.PEOPLE, folder / generated_csv.FRIENDSHIPS)
    imported = await offline.load(folder / DATA, offline.Sources(*paths, Settings()))
    for path in paths:
        path.unlink()
    return imported


def options(engines: Engines) -> dict[str, str]:
    """Settings with which a service connects to these databases."""
    return {
        "environment": "development",
        "neo4j_uri": engines.neo4j.uri,
        "neo4j_user": engines.neo4j.user,
        "neo4j_password": engines.neo4j.password,
        "redis_url": engines.redis_url,
    }


async def flag(graph: Graph, users: list[str]) -> None:
    """Flag users online, batch by batch."""
    shards = ShardMap()
    for start in range(0, len(users), BATCH_USERS):
        rows = [
            Flag(user, True, _FLAGGED_AT_MILLISECONDS, shards.shard(user))
            for user in users[start : start + BATCH_USERS]
        ]
        await Flags(graph=graph).write_flags(rows)
