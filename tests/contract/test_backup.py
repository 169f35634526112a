"""Back up and restore the graph with Neo4j's real tools, each test on its data folder."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

import pytest

from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph import migrations
from graph_service.graph.driver import connect
from graph_service.model.model import Pair
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from local_stack.data import backup
from local_stack.engines.launcher import Engines, Options, running
from tests.support.embedded import EMBEDDED

pytestmark = pytest.mark.timeout(600)  # several starts of a server, also on a slow machine
SMALL = Options(heap=512, page_cache=64)


def settings(engines: Engines) -> Settings:
    """Settings that reach the engines of one data folder."""
    neo4j = engines.neo4j
    return Settings(
        environment="development",
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=neo4j.password,  # type: ignore[arg-type]
    )


async def fill(engines: Engines, *names: str) -> None:
    """Create users of these names, each a friend of the next."""
    async with connect(settings(engines)) as graph:
        await migrations.migrate(graph, migrations.folder())
        await Users(
            graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
        ).upsert_many([UserProfile(name, name.title()) for name in names])
        await Bulk(graph=graph, changed=ignore_changes).batch(
            [Pair(*pair) for pair in itertools.pairwise(names)], notify=False
        )


async def test_what_was_copied_is_there_in_another_folder(tmp_path: Path) -> None:
    """One test for all steps, since each costs a server start: the running engines are stopped, copied, restored."""
    data, file, said = tmp_path / "data", tmp_path / "copies" / "monday.dump", list[str]()
    command = (sys.executable, "-m", "tests.contract.backed_up", str(data))
    # A separate process, as `friends-presence up` is: the backup has to stop it.
    owner = await asyncio.create_subprocess_exec(*command, env=EMBEDDED, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout
    assert await owner.stdout.readline() == b"ready\n"
    done = await backup.backup(data, file, said.append)
    assert await owner.wait() == 0
    assert "no online backup" in said[0]
    assert str(owner.pid) in said[0]
    assert (done.note.people, done.note.friendships) == (3, 2)
    assert set(done.seconds) == {"counting", "copying", "checking"}

    other = tmp_path / "other"
    await backup.restore(other, file, said.append)
    async with running(other, SMALL, EMBEDDED) as engines, connect(settings(engines)) as graph:
        await migrations.refuse_when_behind(graph, migrations.folder())
        rows = await graph.statement(
            "MATCH (u:User) RETURN u.id AS id, COUNT { (u)-[:FRIEND]-() } AS n ORDER BY id"
        )
    assert [(row["id"], row["n"]) for row in rows] == [("ann", 1), ("ben", 2), ("cleo", 1)]


async def test_a_folder_without_a_graph_and_a_file_that_is_no_copy_are_refused(tmp_path: Path) -> None:
    """Before anything is stopped or started."""
    with pytest.raises(backup.NothingToCopy):
        await backup.backup(tmp_path, tmp_path / "copy", pytest.fail)
    (tmp_path / "copy").write_bytes(b"not a dump")
    with pytest.raises(backup.NoSuchBackup):
        await backup.restore(tmp_path, tmp_path / "copy", pytest.fail)


def test_a_graph_elsewhere_is_copied_there_by_the_command_that_is_printed() -> None:
    """Both commands name the server and what to run on its machine."""
    elsewhere = {"NEO4J_URI": "bolt://graph.example:7687"}
    with pytest.raises(
        backup.BackupElsewhere, match="neo4j-admin database dump neo4j --to-path=DIR"
    ) as refused:
        backup.refuse_elsewhere(elsewhere, "dump")
    assert "bolt://graph.example:7687" in str(refused.value)
    with pytest.raises(backup.BackupElsewhere, match="neo4j-admin database load neo4j --from-path=DIR"):
        backup.refuse_elsewhere(elsewhere, "load")
    backup.refuse_elsewhere({}, "dump")
