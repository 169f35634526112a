"""An import into the stopped, empty database of a data folder. Knows the order of work; each step is elsewhere.

The lines are checked by the rules of an import into a running graph, then Neo4j writes its store from what is left,
then the server starts once for the schema. A run that was interrupted is run again from its beginning.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from graph_service.csv.importer import Tally, user_windows
from graph_service.csv.parse import Rejected
from graph_service.errors import SetupError
from graph_service.graph import migrations
from graph_service.graph.driver import Graph, connect
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from local_stack.data import csv_arrays, full_import
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.neo4j_server import USER, Neo4jEngine
from local_stack.engines.server import Server

MARKER = "import-under-way"
"""A file in the data folder while its database is being written: what is there is ours, and not whole."""


class NotEmpty(SetupError):
    """{data} holds a graph with {people:,} people already, and --offline writes a whole new database. Leave --offline out to add to it, or name another --data."""

    code = "not_empty"


@dataclass(frozen=True)
class Sources:
    """What to import, and by which options."""

    people: Path
    friendships: Path
    settings: Settings

    @property
    def shards(self) -> ShardMap:
        """How users spread over presence channels."""
        return ShardMap(self.settings.partitions, self.settings.presence_shards)


@dataclass(frozen=True)
class Imported:
    """What was done, and how long Neo4j's own tool took, in seconds."""

    tallies: list[Tally]
    tool_seconds: float


Report = Callable[[str], None]
"""Told of each step as it begins."""


async def load(data: Path, sources: Sources, step: Report = lambda _text: None) -> Imported:
    """Imports both files into the embedded Neo4j of `data`, which must not run.

    Raises:
        AlreadyRunning: it runs. NotEmpty: it has people. NoSuchFile, WrongColumns: see `graph_service.csv.importer`.
        ImportFailed: the tool stopped; the database is empty again.
    """
    folder = DataFolder.at(data)
    lock = await folder.acquire()
    try:
        engine = Neo4jEngine(folder, inherited_fds=(lock.descriptor,))
        await _refuse_unless_empty(engine)
        step("checking lines")
        people, one = await asyncio.to_thread(_people, sources.people)
        ids = [id_ for id_, _ in people]
        read = await asyncio.to_thread(
            csv_arrays.read, sources.friendships, ids, sources.settings.friend_limit
        )
        step(f"writing the database: {len(people):,} people, {len(read.keys):,} friendships")
        await engine.prepare(0)
        began = time.monotonic()
        await _write(engine, people, read, sources.shards)
        took = time.monotonic() - began
        step("making the schema")
        async with started_alone(engine) as graph:
            await migrations.migrate(graph, migrations.folder())
    finally:
        lock.close()
    made = len(read.keys)
    other = Tally(sources.friendships.name, read.lines, made, 0, read.rejected)
    return Imported([one, other], took)


def _people(path: Path) -> tuple[list[tuple[str, str]], Tally]:
    """People by id, ascending, and what became of the lines."""
    people: list[tuple[str, str]] = []
    rejected: list[Rejected] = []
    for window in user_windows(path):
        people += ((line.id, line.name) for line in window.lines)
        rejected += window.rejected
    rejected.sort(key=lambda one: one.line)
    return sorted(people), Tally(path.name, len(people) + len(rejected), len(people), 0, rejected)


async def _write(
    engine: Neo4jEngine, people: list[tuple[str, str]], read: csv_arrays.Friendships, shards: ShardMap
) -> None:
    marker = engine.data.root / MARKER
    marker.touch()
    with TemporaryDirectory(prefix="import-", dir=engine.data.root) as name:
        folder = Path(name)
        await asyncio.to_thread(full_import.write_people, folder, people, shards)
        relations = await asyncio.to_thread(full_import.write_friendships, folder, read, len(people))
        try:
            await full_import.run(engine, folder, relations)
        except BaseException:
            _clear(engine)
            raise
        finally:
            marker.unlink(missing_ok=True)


async def _refuse_unless_empty(engine: Neo4jEngine) -> None:
    marker = engine.data.root / MARKER
    if marker.exists():
        _clear(engine)
    if not (engine.home / "data" / "databases" / "neo4j").exists():
        return
    async with started_alone(engine) as graph:
        row = await graph.row("users_count") or {}
    if row["people"]:
        raise NotEmpty(data=engine.data.root, people=row["people"])


def _clear(engine: Neo4jEngine) -> None:
    """Removes the database's files; the server's own database, with the password, stays."""
    for kind in ("databases", "transactions"):
        shutil.rmtree(engine.home / "data" / kind / "neo4j", ignore_errors=True)


@asynccontextmanager
async def started_alone(engine: Neo4jEngine) -> AsyncIterator[Graph]:
    """The graph of an engine whose folder the caller owns, up while the context is open."""
    server = Server(engine)
    await server.start()
    try:
        settings = Settings(
            environment="development",
            neo4j_uri=engine.uri(server.port),
            neo4j_user=USER,
            neo4j_password=SecretStr(engine.password),
        )
        async with connect(settings) as graph:
            yield graph
    finally:
        await server.stop()
