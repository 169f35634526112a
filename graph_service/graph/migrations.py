"""Applies schema and data migrations to the graph, one process at a time by a lock in the graph.

Records are those of neo4j-migrations: a chain ``(:__Neo4jMigration {version: 'BASELINE'})-[:MIGRATED_TO]->(…)``.
A data migration and its record are one transaction. A schema migration cannot share one with its record, so its
statements say IF NOT EXISTS: a run killed between the two is repeated without harm.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from graph_service.errors import SetupError
from graph_service.graph.driver import Graph, Row
from graph_service.graph.migration_files import Migration, read_folder
from graph_service.graph.queries import catalogue, data_folder

LOCK_SECONDS = 60
"""The lock of a process that died expires after this; a running one renews it before every migration."""
INDEX_TIMEOUT_SECONDS = 300
LOCK_POLL_SECONDS = 0.2


class EditedMigration(SetupError):
    """{source} was edited after it was applied: its checksum is {now}, the graph has {then}. Restore the file, and put the change into a new migration"""

    code = "edited_migration"


class MissingMigration(SetupError):
    """The graph has migration {version} ({source}), which this version of the service does not know. Install a newer version of the service"""

    code = "missing_migration"


class MigrationsBehind(SetupError):
    """The graph lacks {count} migration(s), from {first}. Run: friends-presence migrate"""

    code = "migrations_behind"


class MigrationLocked(SetupError):
    """Another process has been migrating for over {seconds} s. Wait for it, then start again"""

    code = "migration_locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which migrations are applied, and which a run would apply."""

    applied: Sequence[str]
    pending: Sequence[Migration]


async def plan(graph: Graph, known: Sequence[Migration]) -> Plan:
    """Compare files with the graph.

    Raises:
        EditedMigration: an applied file has another checksum now.
        MissingMigration: the graph is newer than the files.
    """
    applied = {row["version"]: row for row in await graph.rows("migrations_applied")}
    by_version = {migration.version: migration for migration in known}
    for version, row in applied.items():
        migration = by_version.get(version)
        if migration is None:
            raise MissingMigration(version=version, source=row["source"])
        if migration.checksum != row["checksum"]:
            raise EditedMigration(source=migration.source, now=migration.checksum, then=row["checksum"])
    return Plan(
        applied=list(applied), pending=[migration for migration in known if migration.version not in applied]
    )


async def refuse_when_behind(graph: Graph, known: Sequence[Migration]) -> None:
    """Check the schema before serving.

    Raises:
        MigrationsBehind: migrations are pending.
    """
    pending = (await plan(graph, known)).pending
    if pending:
        raise MigrationsBehind(count=len(pending), first=pending[0].source)


async def migrate(graph: Graph, known: Sequence[Migration], user: str = "neo4j") -> list[Migration]:
    """Apply and return what is pending. Of two processes that start at once, one waits and then finds nothing to do.

    Raises:
        EditedMigration, MissingMigration: see `plan`.
        MigrationLocked: the lock was not free in time.
    """
    async with _locked(graph) as lock:
        pending = (await plan(graph, known)).pending
        for migration in pending:
            await lock.renew()
            await _apply(graph, migration, user)
        if pending:
            await graph.rows("await_indexes", seconds=INDEX_TIMEOUT_SECONDS)
    return list(pending)


async def dry_run(graph: Graph, pending: Sequence[Migration]) -> None:
    """Let the server parse and plan each pending statement; changes nothing."""
    for migration in pending:
        for statement in migration.statements:
            await graph.explain(statement)


async def _apply(graph: Graph, migration: Migration, user: str) -> None:
    started_at = time.monotonic()
    if migration.is_schema or migration.commits_itself:
        for statement in migration.statements:
            await graph.statement(statement)
        await graph.statements([_record(migration, started_at, user)])
    else:
        work: list[tuple[str, Row]] = [(statement, {}) for statement in migration.statements]
        await graph.statements([*work, _record(migration, started_at, user)])


def _record(migration: Migration, started_at: float, user: str) -> tuple[str, Row]:
    parameters = {
        "version": migration.version,
        "description": migration.description,
        "source": migration.source,
        "checksum": migration.checksum,
        "took": int((time.monotonic() - started_at) * 1000),
        "by": _operating_system_user(),
        "connected_as": user,
    }
    return catalogue()["migration_record"].text, parameters


def _operating_system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return str(os.getuid())


@asynccontextmanager
async def _locked(graph: Graph) -> AsyncIterator[_Lock]:
    owner = uuid.uuid4().hex
    lock = _Lock(graph=graph, owner=owner)
    await graph.rows("migration_lock_constraint")
    deadline = time.monotonic() + 2 * LOCK_SECONDS
    while not await lock.acquire():
        if time.monotonic() > deadline:
            raise MigrationLocked(seconds=2 * LOCK_SECONDS)
        await asyncio.sleep(LOCK_POLL_SECONDS)
    try:
        yield lock
    finally:
        await asyncio.shield(graph.rows("migration_unlock", owner=owner))


class _Lock:
    """The migration lock in the graph, as held by one process."""

    def __init__(self, *, graph: Graph, owner: str) -> None:
        self._graph = graph
        self._owner = owner

    async def acquire(self) -> bool:
        """Take or renew the lock; True if it is ours now."""
        row = await self._graph.write("migration_lock", owner=self._owner, seconds=LOCK_SECONDS)
        return bool(row and row["free"])

    async def renew(self) -> None:
        if not await self.acquire():
            raise MigrationLocked(seconds=LOCK_SECONDS)


def folder() -> list[Migration]:
    """The migrations that come with this version of the service."""
    return read_folder(data_folder("migrations"))
