"""Warm-up reads the whole graph once."""

from __future__ import annotations

import pytest

from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph import warmup
from graph_service.graph.driver import Graph
from graph_service.graph.warmup import Warmed, warm
from graph_service.model.model import Pair
from graph_service.model.sharding import ShardMap


async def test_every_user_is_read_and_every_friendship_counted_once(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several pages; progress is in users."""
    monkeypatch.setattr(warmup, "PAGE_SIZE", 3)
    await Users(
        graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
    ).upsert_many([UserProfile(f"p{n}", "P") for n in range(7)])
    await Bulk(graph=graph, friend_limit=5000, changed=ignore_changes).batch(
        [Pair("p0", f"p{n}", 1) for n in range(1, 7)]
    )
    progress: list[int] = []
    assert await warm(graph, progress.append) == Warmed(users=7, friendships=6)
    assert progress == [3, 3, 1]


async def test_an_empty_graph_is_warm(graph: Graph) -> None:
    """There is no user to read."""
    assert await warm(graph) == Warmed(users=0, friendships=0)
