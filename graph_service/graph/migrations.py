"""Applies migrations to a graph, one starter at a time. Knows the records and the lock; files are read elsewhere.

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
"""A starter that died frees the lock after this long; a living one renews it before every migration."""


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration run would do: what is applied, and what would follow."""

    applied: Sequence[str]
    pending: Sequence[Migration]


async def plan(graph: Graph, known: Sequence[Migration]) -> Plan:
    """Compares files and graph.

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
    return Plan(list(applied), [migration for migration in known if migration.version not in applied])


async def refuse_when_behind(graph: Graph, known: Sequence[Migration]) -> None:
    """For a service about to start.

    Raises:
        MigrationsBehind: files are waiting to be applied.
    """
    pending = (await plan(graph, known)).pending
    if pending:
        raise MigrationsBehind(count=len(pending), first=pending[0].source)


async def migrate(graph: Graph, known: Sequence[Migration], user: str = "neo4j") -> list[Migration]:
    """Applies what is pending and returns it. Of two who start at once, one waits and then finds nothing to do.

    Raises:
        EditedMigration, MissingMigration: see `plan`.
        MigrationLocked: the lock was not free in time.
    """
    async with _locked(graph) as renew:
        pending = (await plan(graph, known)).pending
        for migration in pending:
            await renew()
            await _apply(graph, migration, user)
        if pending:
            await graph.rows("await_indexes", seconds=300)
    return list(pending)


async def dry_run(graph: Graph, pending: Sequence[Migration]) -> None:
    """Asks the server to parse and plan each pending statement; changes nothing."""
    for migration in pending:
        for statement in migration.statements:
            await graph.explain(statement)


async def _apply(graph: Graph, migration: Migration, user: str) -> None:
    began = time.monotonic()
    if migration.is_schema or migration.commits_itself:
        for statement in migration.statements:
            await graph.statement(statement)
        await graph.statements([_record(migration, began, user)])
    else:
        work: list[tuple[str, Row]] = [(statement, {}) for statement in migration.statements]
        await graph.statements([*work, _record(migration, began, user)])


def _record(migration: Migration, began: float, user: str) -> tuple[str, Row]:
    parameters = {
        "version": migration.version,
        "description": migration.description,
        "source": migration.source,
        "checksum": migration.checksum,
        "took": int((time.monotonic() - began) * 1000),
        "by": _who(),
        "connected_as": user,
    }
    return catalogue()["migration_record"].text, parameters


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return str(os.getuid())


@asynccontextmanager
async def _locked(graph: Graph) -> AsyncIterator[_Renew]:
    owner = uuid.uuid4().hex
    renew = _Renew(graph, owner)
    await graph.rows("migration_lock_constraint")
    deadline = time.monotonic() + 2 * LOCK_SECONDS
    while not await renew.take():
        if time.monotonic() > deadline:
            raise MigrationLocked(seconds=2 * LOCK_SECONDS)
        await asyncio.sleep(0.2)
    try:
        yield renew
    finally:
        await asyncio.shield(graph.rows("migration_unlock", owner=owner))


class _Renew:
    """The lock in one starter's hands."""

    def __init__(self, graph: Graph, owner: str) -> None:
        self._graph = graph
        self._owner = owner

    async def take(self) -> bool:
        """Takes or keeps the lock; whether it is ours now."""
        row = await self._graph.write("migration_lock", owner=self._owner, seconds=LOCK_SECONDS)
        return bool(row and row["free"])

    async def __call__(self) -> None:
        if not await self.take():
            raise MigrationLocked(seconds=LOCK_SECONDS)


def folder() -> list[Migration]:
    """The migrations that come with this version of the service."""
    return read_folder(data_folder("migrations"))
