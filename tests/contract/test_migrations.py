"""Migrations on real Neo4j: order, lock, checksums, and records that other tools read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from neo4j.exceptions import CypherSyntaxError

from graph_service.graph import migrations
from graph_service.graph.driver import Graph
from graph_service.graph.migration_files import Migration, parse
from tests.conftest import wipe

FIRST = parse("V0001__first.cypher", "CREATE (:User {id: 'one'})")
SECOND = parse("V0002__an_index.cypher", "CREATE INDEX test_second IF NOT EXISTS FOR (t:Second) ON (t.x)")
THIRD = parse(
    "V0003__third.cypher", "MATCH (u:User {id: 'one'}) SET u.three = true; CREATE (:User {id: 'three'})"
)


@pytest.fixture
async def blank(migrated: Graph) -> AsyncIterator[Graph]:
    """A graph that was never migrated; afterwards the product's schema is back."""
    await forget(migrated)
    yield migrated
    await forget(migrated)
    await migrations.migrate(migrated, migrations.folder())


async def forget(graph: Graph) -> None:
    """Removes every record, user and test index."""
    await graph.statement("MATCH (m:__Neo4jMigration) DETACH DELETE m")
    await graph.statement("DROP INDEX test_second IF EXISTS")
    await wipe(graph)


async def state(graph: Graph) -> list[object]:
    """What the migrations created, records included."""
    users = await graph.statement("MATCH (u:User) RETURN properties(u) AS u ORDER BY u.id")
    indexes = await graph.statement(
        "SHOW INDEXES YIELD name, labelsOrTypes, properties WHERE name STARTS WITH 'test'"
    )
    records = await graph.statement(
        "MATCH p = (:__Neo4jMigration {version: 'BASELINE'})-[:MIGRATED_TO*]->(m) "
        "RETURN m.version AS version, m.checksum AS checksum, length(p) AS place ORDER BY place"
    )
    return [users, indexes, records]


async def test_migrating_from_nothing_equals_migrating_step_by_step(blank: Graph) -> None:
    """The same users, indexes and chain of records."""
    await migrations.migrate(blank, [FIRST, SECOND, THIRD])
    at_once = await state(blank)
    await forget(blank)
    for known in ([FIRST], [FIRST, SECOND], [FIRST, SECOND, THIRD]):
        await migrations.migrate(blank, known)
    assert await state(blank) == at_once
    assert [record["version"] for record in at_once[2]] == ["0001", "0002", "0003"]  # type: ignore[attr-defined]


async def test_a_second_run_finds_nothing_to_do(blank: Graph) -> None:
    """And reports it."""
    assert await migrations.migrate(blank, [FIRST, SECOND]) == [FIRST, SECOND]
    assert await migrations.migrate(blank, [FIRST, SECOND]) == []


async def test_of_many_processes_at_once_each_migration_is_applied_by_one(blank: Graph) -> None:
    """The others wait for the lock."""
    ran = await asyncio.gather(*(migrations.migrate(blank, [FIRST, SECOND, THIRD]) for _ in range(4)))
    assert sorted(len(some) for some in ran) == [0, 0, 0, 3]
    count = await blank.statement("MATCH (u:User) RETURN count(u) AS users")
    assert count == [{"users": 2}]


async def test_an_edited_file_is_refused_by_name(blank: Graph) -> None:
    """With both checksums and what to do; nothing else is applied."""
    await migrations.migrate(blank, [FIRST])
    edited = parse(FIRST.source, "CREATE (:User {id: 'another'})")
    with pytest.raises(
        migrations.EditedMigration, match=rf"V0001__first.*{edited.checksum}.*{FIRST.checksum}.*Restore"
    ):
        await migrations.migrate(blank, [edited, SECOND])
    assert (await migrations.plan(blank, [FIRST, SECOND])).pending == [SECOND]


async def test_a_graph_newer_than_the_service_is_refused(blank: Graph) -> None:
    """An old process must not serve a schema that it does not know."""
    await migrations.migrate(blank, [FIRST, SECOND])
    with pytest.raises(migrations.MissingMigration, match="0002"):
        await migrations.refuse_when_behind(blank, [FIRST])


async def test_serving_is_refused_when_behind_and_names_the_command(blank: Graph) -> None:
    """The operator reads the command."""
    await migrations.migrate(blank, [FIRST])
    with pytest.raises(migrations.MigrationsBehind, match=r"lacks 2 .*V0002.*friends-presence migrate"):
        await migrations.refuse_when_behind(blank, [FIRST, SECOND, THIRD])


async def test_a_failing_migration_is_rolled_back_and_releases_the_lock(blank: Graph) -> None:
    """Its first statement is undone with the second; those before it stay."""
    broken = parse("V0002__broken.cypher", "CREATE (:User {id: 'half'}); CREATE (:User {id: 1 / 0})")
    with pytest.raises(Exception, match=r"(?i)zero"):
        await migrations.migrate(blank, [FIRST, broken])
    users = await blank.statement("MATCH (u:User) RETURN u.id AS id")
    assert users == [{"id": "one"}]
    mended = parse(broken.source, "CREATE (:User {id: 'half'})")
    assert await migrations.migrate(blank, [FIRST, mended]) == [mended]


async def test_the_lock_of_a_killed_process_expires(blank: Graph) -> None:
    """Then another continues; a schema change without its record is repeated without harm."""
    await blank.rows("migration_lock_constraint")
    await blank.write("migration_lock", owner="the dead one", seconds=1)
    await blank.statement(SECOND.statements[0])
    assert await asyncio.wait_for(migrations.migrate(blank, [FIRST, SECOND]), 10) == [FIRST, SECOND]


async def test_a_held_lock_is_not_taken(blank: Graph) -> None:
    """The other process is alive, so this one waits."""
    await blank.rows("migration_lock_constraint")
    await blank.write("migration_lock", owner="the living one", seconds=30)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(migrations.migrate(blank, [FIRST]), 0.5)
    await blank.rows("migration_unlock", owner="the living one")
    assert (await migrations.plan(blank, [FIRST])).pending == [FIRST]


async def test_a_dry_run_lets_the_server_plan_and_changes_nothing(blank: Graph) -> None:
    """A mistake is found before anything runs."""
    wrong = parse("V0002__wrong.cypher", "CREATE (:User {id: 'x'}) RETRUN 1")
    await migrations.dry_run(blank, [FIRST, SECOND])
    with pytest.raises(CypherSyntaxError):
        await migrations.dry_run(blank, [FIRST, wrong])
    assert await state(blank) == [[], [], []]


async def test_records_are_those_that_neo4j_migrations_reads(blank: Graph) -> None:
    """A chain from BASELINE with description, type, source, checksum, user and time."""
    await migrations.migrate(blank, [FIRST, SECOND])
    rows = await blank.statement(
        "MATCH (p:__Neo4jMigration)-[r:MIGRATED_TO]->(m:__Neo4jMigration) RETURN p.version AS previous, "
        "properties(m) AS m, keys(r) AS keys, r.at IS :: ZONED DATETIME AS dated, r.in IS :: DURATION AS timed"
        " ORDER BY m.version"
    )
    assert [row["previous"] for row in rows] == ["BASELINE", "0001"]
    assert rows[0]["m"] == record_of(FIRST)
    assert all(row["dated"] and row["timed"] for row in rows)
    assert all(sorted(row["keys"]) == ["at", "by", "connectedAs", "in"] for row in rows)


def record_of(migration: Migration) -> dict[str, object]:
    """The node that neo4j-migrations would have written."""
    return {
        "version": migration.version,
        "description": migration.description,
        "type": "CYPHER",
        "repeatable": False,
        "source": migration.source,
        "checksum": migration.checksum,
    }
