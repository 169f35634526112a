"""Reconciling compares a shard's flags with Here Now; what is in progress is neither looked up nor repaired again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_service.model.sharding import ShardMap
from pubnub_bridge.debounce.reconciler import CACHE_MILLISECONDS, Reconciler, compare
from pubnub_bridge.model.presence_event import PresenceEvent


class Surroundings:
    """Flags, presence and the log of one shard."""

    def __init__(self, here: set[str], flagged: dict[str, int]) -> None:
        self.here, self.flagged = here, flagged
        self.looked_up: list[str] = []
        self.appended: list[PresenceEvent] = []

    async def present(self, _shard: int) -> set[str]:
        return self.here

    async def online_in_shards(self, _shards: Sequence[int]) -> Mapping[str, int]:
        return self.flagged

    async def all(self, users: Sequence[str], _reason: str = "") -> dict[str, PresenceEvent]:
        """Where Now finds no user."""
        self.looked_up += users
        return {user: PresenceEvent(user, False, 90_000, 0, "reconcile") for user in users}

    async def append(self, events: Sequence[PresenceEvent]) -> None:
        self.appended += events


def reconciler(around: Surroundings, in_progress: dict[str, bool]) -> Reconciler:
    parts: Any = around
    return Reconciler(
        flags=parts,
        log=parts,
        lookups=parts,
        shards=ShardMap(1, 1),
        observed=in_progress.get,
        now=lambda: 100_000,
    )


def test_only_the_users_of_a_shard_are_compared_with_its_flags() -> None:
    found = compare(["ann", "bob", "stranger"], {"bob": 1, "cat": 1}, lambda user: user != "stranger")
    assert (sorted(found.arrived), sorted(found.missing)) == (["ann"], ["cat"])


async def test_a_leave_in_progress_is_not_looked_up() -> None:
    """After a mass leave thousands would be."""
    around = Surroundings(set(), {"ann": 1, "bob": 1})
    assert await reconciler(around, {"ann": False}).shard(0) == 1
    assert around.looked_up == ["bob"]


async def test_a_join_in_progress_is_not_repaired() -> None:
    """Its own event is in the log."""
    around = Surroundings({"ann", "bob"}, {})
    assert await reconciler(around, {"ann": True}).shard(0) == 1
    assert [one.user for one in around.appended] == ["bob"]


async def test_a_repair_is_as_old_as_here_now_may_be() -> None:
    """So a leave that is newer than the listing stands."""
    around = Surroundings({"ann"}, {"bob": 1})
    await reconciler(around, {}).shard(0)
    assert {one.at for one in around.appended} == {100_000 - CACHE_MILLISECONDS}
