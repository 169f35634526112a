"""Import and export of a real graph: rejected lines by number, a crash in the middle, both kinds of import alike."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from graph_service.csv import importer, journal
from graph_service.csv.exporter import export
from graph_service.csv.importer import Import, NoSuchFile, Tally
from graph_service.csv.parse import WrongColumns
from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import Users, ignore_created
from graph_service.graph.driver import Graph, connect
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from local_stack.data import generated_csv, offline
from local_stack.data.generate import generate
from local_stack.engines.launcher import running
from tests.conftest import Servers
from tests.support.embedded import EMBEDDED

PEOPLE = "id,name\nann,Ann\nben,Ben\ncat,Cat\ndan,Dan\n"


def files(folder: Path, people: str, friendships: str) -> tuple[Path, Path]:
    """Both files with these texts."""
    one, other = folder / "people.csv", folder / "friendships.csv"
    one.write_text(people, encoding="utf-8")
    other.write_text(friendships, encoding="utf-8")
    return one, other


async def load(graph: Graph, one: Path, other: Path, limit: int = 10_000) -> tuple[Tally, Tally]:
    """Imports both files."""
    people = await Import(graph=graph).users(
        one, Users(graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created)
    )
    return people, await Import(graph=graph).friendships(
        other, Bulk(graph=graph, friend_limit=limit, changed=ignore_changes)
    )


async def edges(graph: Graph) -> list[tuple[str, str, int | None]]:
    """Every friendship, as often as it is there."""
    rows = await graph.statement(
        "MATCH (a:User)-[r:FRIEND]->(b:User) RETURN a.id AS a, b.id AS b, r.since AS s"
    )
    return sorted((row["a"], row["b"], row["s"]) for row in rows)


async def everything(graph: Graph) -> tuple[list[tuple[str, str, int | None]], list[tuple[str, str, int]]]:
    """Friendships and users with all their properties."""
    rows = await graph.statement(
        "MATCH (u:User) RETURN u.id AS id, u.name AS name, u.shard AS shard, size(keys(u)) AS n"
    )
    assert {row["n"] for row in rows} == {3}
    return await edges(graph), sorted((row["id"], row["name"], row["shard"]) for row in rows)


async def test_rejected_lines_are_reported_by_number_and_reason(graph: Graph, tmp_path: Path) -> None:
    """Good lines are imported, each bad one is listed, and no user is notified."""
    people, friendships = files(
        tmp_path,
        "\ufeffid,name\nann,Ann\nben,Ben\nann,Anna\nc t,Cat\ncat,Cat\ndan\n",
        '\ufeffa,b,since\nben,ann,5\nann,ann,1\nann,eve,1\n"ann,ben\nann,ben,6\ncat,ann,7\nann\n',
    )
    one, other = await load(graph, people, friendships)
    assert [(bad.line, bad.code) for bad in one.rejected] == [
        (4, "duplicate"),
        (5, "bad_id"),
        (7, "wrong_columns"),
    ]
    assert [(bad.line, bad.code) for bad in other.rejected] == [
        (3, "self"),
        (4, "unknown_id"),
        (5, "broken_line"),
        (6, "duplicate"),
        (8, "wrong_columns"),
    ]
    assert (one.made, other.made, other.lines) == (3, 2, 7)
    assert await edges(graph) == [("ann", "ben", 5), ("ann", "cat", 7)]
    assert await graph.statement("MATCH (o:Outbox) RETURN o") == []


async def test_a_user_at_the_friend_limit_gets_no_more_friends(graph: Graph, tmp_path: Path) -> None:
    """The line over the cap is refused by number."""
    _, other = await load(
        graph, *files(tmp_path, PEOPLE, "a,b\nann,ben\nann,cat\nann,dan\nben,cat\n"), limit=2
    )
    assert [(bad.line, bad.code) for bad in other.rejected] == [(4, "over_cap")]
    assert len(await edges(graph)) == 3


async def test_the_same_file_again_changes_nothing(graph: Graph, tmp_path: Path) -> None:
    """Everything existed before; a duplicate inside the file is still distinguished from that."""
    paths = files(tmp_path, PEOPLE, "a,b\nann,ben\ncat,dan\nben,ann\n")
    await load(graph, *paths)
    before = await edges(graph)
    one, other = await load(graph, *paths)
    assert (one.made, one.there, other.made, other.there) == (0, 4, 0, 2)
    assert [(bad.line, bad.reason) for bad in other.rejected] == [(4, "line 2 says the same")]
    assert await edges(graph) == before


async def test_a_repeat_in_a_later_window_is_found(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows are finished in order, so the first of two equal lines wins however far apart they are."""
    monkeypatch.setattr(importer, "WINDOW_LINES", 2)
    monkeypatch.setattr(importer, "BATCH_LINES", 1)
    monkeypatch.setattr(importer, "DUPLICATE_LINES", 1)
    text = "a,b,since\nann,ben,1\nann,cat,2\nann,dan,3\nben,ann,4\ncat,ann,5\n"
    _, other = await load(graph, *files(tmp_path, PEOPLE, text))
    assert [(bad.line, bad.reason) for bad in other.rejected] == [
        (5, "line 2 says the same"),
        (6, "line 3 says the same"),
    ]
    assert await edges(graph) == [("ann", "ben", 1), ("ann", "cat", 2), ("ann", "dan", 3)]


async def test_a_killed_import_continues_where_it_stopped(
    graph: Graph, servers: Servers, tmp_path: Path
) -> None:
    """kill -9 in the middle, the same command again: every friendship once, and the first run's work is not repeated."""
    population = generate(600, 60, 120, 1)
    generated_csv.write(population, tmp_path, 1)
    one, other = tmp_path / "people.csv", tmp_path / "friendships.csv"
    place = journal.path_for(other)
    process = await started(servers, one, other)
    while not (place.exists() and place.read_text().count("\n") >= 3):
        assert process.returncode is None, "the import was over before it could be killed"
        await asyncio.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    assert 0 < len(await edges(graph)) < len(population.pairs), "killed in the middle"

    process = await started(servers, one, other)
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    file = json.loads(said)["files"][1]
    assert file["resumed"] >= 2 * importer.BATCH_LINES
    assert file["made"] + file["there"] == file["lines"] == len(population.pairs)
    ids = population.ids
    assert [(a, b) for a, b, _ in await edges(graph)] == [
        (ids[a], ids[b]) for a, b in population.pairs.tolist()
    ]
    assert not place.exists()


async def started(servers: Servers, one: Path, other: Path) -> asyncio.subprocess.Process:
    """The command, as an operator runs it."""
    environ = {
        **os.environ,
        "ENVIRONMENT": "development",
        "NEO4J_URI": servers.neo4j_uri,
        "NEO4J_USER": servers.neo4j_user,
        "NEO4J_PASSWORD": servers.neo4j_password,
    }
    return await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            "from pubnub_bridge.cli.main import main; main()",
            "import",
            one,
            other,
            "--json",
        ),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_what_is_exported_can_be_imported(graph: Graph, tmp_path: Path) -> None:
    """Odd names and ids are unchanged; the files are in order of id."""
    names = [("=1+1", '=cmd|"x"'), ("ann", "Smith, Ann"), ("ben", 'Ben "B" Ö'), ("zoë", "-2")]
    with (tmp_path / "people.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "name"), *names])
    (tmp_path / "friendships.csv").write_text(
        "a,b,since\nben,ann,5\n=1+1,zoë,\nzoë,ann,6\n", encoding="utf-8"
    )
    await load(graph, tmp_path / "people.csv", tmp_path / "friendships.csv")
    before = await everything(graph)
    exported = await export(graph, tmp_path / "out")
    assert (exported.users, exported.friendships) == (4, 3)
    assert (tmp_path / "out" / "people.csv").read_text("utf-8") == (tmp_path / "people.csv").read_text(
        "utf-8"
    )
    await graph.statement("MATCH (u:User) DETACH DELETE u")
    await load(graph, tmp_path / "out" / "people.csv", tmp_path / "out" / "friendships.csv")
    assert await everything(graph) == before


@pytest.mark.timeout(300)
async def test_an_offline_import_makes_the_same_graph(graph: Graph, tmp_path: Path) -> None:
    """The same users, friendships and rejections; a second one is refused, since the graph is not empty."""
    population = generate(200, 20, 40, 3)
    generated_csv.write(population, tmp_path, 3)
    one, other = tmp_path / "people.csv", tmp_path / "friendships.csv"
    with other.open("a", encoding="utf-8") as file:
        file.write('u0000001,u0000001,5\nu0000001,ghost,5\n"u0000001\n')
        file.write("u0000000,u0000001,\n" + other.read_text("utf-8").splitlines()[1] + "\n")
    online = await load(graph, one, other)
    done = await offline.load(tmp_path / "data", offline.Sources(one, other, Settings()))
    for mine, theirs in zip(done.tallies, online, strict=True):
        assert (mine.made, mine.lines, mine.rejected) == (theirs.made, theirs.lines, theirs.rejected)
    async with running(tmp_path / "data", environ=EMBEDDED) as engines:
        neo4j = engines.neo4j
        settings = Settings(
            environment="development",
            neo4j_uri=neo4j.uri,
            neo4j_user=neo4j.user,
            neo4j_password=neo4j.password,
        )
        async with connect(settings) as imported:
            assert await everything(imported) == await everything(graph)
    with pytest.raises(offline.NotEmpty, match="200 people already"):
        await offline.load(tmp_path / "data", offline.Sources(one, other, Settings()))


async def test_a_missing_or_foreign_file_is_refused_by_name(graph: Graph, tmp_path: Path) -> None:
    """The graph is unchanged."""
    people, friendships = files(tmp_path, "name\nAnn\n", "a,b\n")
    with pytest.raises(WrongColumns, match=r"people\.csv"):
        await load(graph, people, friendships)
    with pytest.raises(NoSuchFile, match=r"nothing\.csv"):
        await load(graph, tmp_path / "nothing.csv", friendships)
    assert await everything_is_gone(graph)


async def everything_is_gone(graph: Graph) -> bool:
    """Whether the graph has no users."""
    return (await graph.row("users_count") or {})["people"] == 0
