"""Import CSV files into the stopped, empty database of a data folder.

Lines are checked by the rules of an import into a running graph, then Neo4j's tool writes its store from the accepted
ones, then the server starts once to create the schema. An interrupted run starts over: a marker file says that the
database is incomplete.
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
"""Exists in the data folder while its database is being written: the database is then incomplete and can be deleted."""


class NotEmpty(SetupError):
    """{data} holds a graph with {people:,} people already, and --offline writes a whole new database. Leave --offline out to add to it, or name another --data."""

    code = "not_empty"


@dataclass(frozen=True)
class Sources:
    """The files to import, and the settings."""

    people: Path
    friendships: Path
    settings: Settings

    @property
    def shards(self) -> ShardMap:
        """How users are distributed over presence channels."""
        return ShardMap(self.settings.partitions, self.settings.presence_shards)


@dataclass(frozen=True)
class Imported:
    """Results by file, and the seconds that Neo4j's tool took."""

    tallies: list[Tally]
    tool_seconds: float


Report = Callable[[str], None]
"""Called with the text of each step as it begins."""


async def load(data: Path, sources: Sources, step: Report = lambda _text: None) -> Imported:
    """Import both files into the embedded Neo4j of `data`, which must not run.

    Raises:
        AlreadyRunning: it runs. NotEmpty: it has users. NoSuchFile, WrongColumns: see `graph_service.csv.importer`.
        ImportFailed: the tool failed; the database is empty again.
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
    other = Tally(file=sources.friendships.name, lines=read.lines, made=made, there=0, rejected=read.rejected)
    return Imported([one, other], took)


def _people(path: Path) -> tuple[list[tuple[str, str]], Tally]:
    """Users by id, ascending, and the tally of the lines."""
    people: list[tuple[str, str]] = []
    rejected: list[Rejected] = []
    for window in user_windows(path):
        people += ((line.id, line.name) for line in window.lines)
        rejected += window.rejected
    rejected.sort(key=lambda one: one.line)
    return sorted(people), Tally(
        file=path.name, lines=len(people) + len(rejected), made=len(people), there=0, rejected=rejected
    )


async def _write(
    engine: Neo4jEngine, people: list[tuple[str, str]], read: csv_arrays.Friendships, shards: ShardMap
) -> None:
    marker = engine.data.root / MARKER
    marker.touch()
    with TemporaryDirectory(prefix="import-", dir=engine.data.root) as name:
        folder = Path(name)
        await asyncio.to_thread(full_import.write_users, folder, people, shards)
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
    """Delete the database's files; the system database, with the password, stays."""
    for kind in ("databases", "transactions"):
        shutil.rmtree(engine.home / "data" / kind / "neo4j", ignore_errors=True)


@asynccontextmanager
async def started_alone(engine: Neo4jEngine) -> AsyncIterator[Graph]:
    """The graph of an engine whose folder the caller has locked; its server runs while the context is open."""
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
