"""Behind neo4j://, with a lagging replica: which reads go where, and that none misses what this process wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import neo4j
import pytest

from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.presence_flags import Flags
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph, connect
from graph_service.graph.queries import catalogue
from graph_service.model.model import Flag, Pair
from graph_service.model.sharding import ShardMap
from tests.conftest import Servers
from tests.support.graph_cluster import Cluster, lagging


@pytest.fixture
async def cluster(graph: Graph, servers: Servers) -> AsyncIterator[Cluster]:
    """A cluster over an empty graph."""
    at = urlsplit(servers.neo4j_uri)
    async with lagging(at.hostname or "", at.port or 0) as both:
        yield both


@pytest.fixture
async def routed(cluster: Cluster, servers: Servers) -> AsyncIterator[Graph]:
    """The graph as a client of the cluster."""
    async with connect(servers.settings(neo4j_uri=cluster.uri)) as graph:
        yield graph


async def befriend(graph: Graph) -> None:
    """Two users, friends."""
    await Users(
        graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
    ).upsert_many([UserProfile("ann", "Ann"), UserProfile("ben", "Ben")])
    await Bulk(graph=graph, changed=ignore_changes).batch([Pair("ann", "ben")])


async def friends_of_ann(graph: Graph) -> list[str]:
    """A page, which any member may serve."""
    row = await graph.row("friends_page", me="ann", after="", limit=10, online=None)
    return list(row["ids"]) if row else []


async def test_a_page_read_from_a_lagging_replica_has_what_this_process_wrote(
    routed: Graph, cluster: Cluster
) -> None:
    """The replica is read, with the bookmark of the write."""
    await befriend(routed)
    assert await friends_of_ann(routed) == ["ben"]
    assert [query.text for query in cluster.replica.queries] == [catalogue()["friends_page"].text]
    assert cluster.replica.queries[0].bookmarks


async def test_without_bookmarks_the_same_page_misses_it(
    routed: Graph, cluster: Cluster, servers: Servers
) -> None:
    """So the test above can fail."""
    await befriend(routed)
    settings = servers.settings(neo4j_uri=cluster.uri)
    login = (settings.neo4j_user, settings.neo4j_password.get_secret_value())
    page = catalogue()["friends_page"].text
    async with (
        neo4j.AsyncGraphDatabase.driver(settings.neo4j_uri, auth=login) as driver,
        driver.session(default_access_mode=neo4j.READ_ACCESS) as session,
    ):
        result = await session.run(page, me="ann", after="", limit=10, online=None)
        assert [record async for record in result] == []
    assert [query.text for query in cluster.replica.queries] == [page]


async def test_notifications_are_read_from_the_leader_after_the_commit(
    routed: Graph, cluster: Cluster
) -> None:
    """The read stage carries the bookmark of the commit, so a leader elected in between waits for it too."""
    await befriend(routed)
    cluster.leader.queries.clear()
    flags = Flags(graph=routed)
    await flags.write_flags([Flag("ben", True, 1, 0)])
    (snapshot,) = await flags.read_snapshots(["ann"])
    assert snapshot.online_friends == ["ben"]
    assert not cluster.replica.queries
    commit, read = cluster.leader.queries
    assert (commit.text, read.text) == (
        catalogue()["write_flags"].text,
        catalogue()["read_online_friends"].text,
    )
    assert read.bookmarks
    assert read.bookmarks != commit.bookmarks


def test_only_lists_may_be_read_from_any_member() -> None:
    """Nothing that decides, commits or notifies."""
    assert {name for name, query in catalogue().items() if query.by_any_member} == {
        "blocks_page", "suggestion_profiles", "ego", "export_page", "friends_page",
        "mutual_page", "requests_in", "requests_out", "suggestions",
    }  # fmt: skip
