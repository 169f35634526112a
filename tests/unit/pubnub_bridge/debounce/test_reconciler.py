"""Reconciling: what is on its way already is neither looked up nor repaired once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_service.model.sharding import ShardMap
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.debounce.reconciler import CACHE_MILLISECONDS, Reconciler


class Around:
    """Flags, presence and the log of one shard."""

    def __init__(self, here: set[str], flagged: dict[str, int]) -> None:
        self.here, self.flagged = here, flagged
        self.looked_up: list[str] = []
        self.appended: list[PresenceEvent] = []

    async def present(self, _shard: int) -> set[str]:
        """Here Now."""
        return self.here

    async def online_in_shards(self, _shards: Sequence[int]) -> Mapping[str, int]:
        """The flags."""
        return self.flagged

    async def all(self, users: Sequence[str], _reason: str = "") -> dict[str, PresenceEvent]:
        """Where Now: nobody is there."""
        self.looked_up += users
        return {user: PresenceEvent(user, False, 90_000, 0, "reconcile") for user in users}

    async def append(self, seen: Sequence[PresenceEvent]) -> None:
        """Accept repairs."""
        self.appended += seen


def reconcile(around: Around, under_way: dict[str, bool]) -> Reconciler:
    """With what is on its way into the graph."""
    parts: Any = around
    made = Reconciler(parts, parts, parts, ShardMap(1, 1))
    made.now = lambda: 100_000
    made.observed = under_way.get
    return made


async def test_a_leave_that_is_under_way_is_not_looked_up() -> None:
    """After a mass leave thousands would be."""
    around = Around(set(), {"ann": 1, "bob": 1})
    assert await reconcile(around, {"ann": False}).shard(0) == 1
    assert around.looked_up == ["bob"]


async def test_a_join_that_is_under_way_is_not_repaired() -> None:
    """Its own event stands in the log."""
    around = Around({"ann", "bob"}, {})
    assert await reconcile(around, {"ann": True}).shard(0) == 1
    assert [one.user for one in around.appended] == ["bob"]


async def test_a_repair_is_as_old_as_here_now_may_be() -> None:
    """So a leave that is newer than the listing stands."""
    around = Around({"ann"}, {"bob": 1})
    await reconcile(around, {}).shard(0)
    assert {one.at for one in around.appended} == {100_000 - CACHE_MILLISECONDS}
