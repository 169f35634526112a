"""A user at the limit of 10,000 friends: every rule and every result still holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from graph_service.errors import FriendLimitReached
from graph_service.friends.bulk import MAX_PAIRS, Bulk
from graph_service.friends.friends import Friends, ignore_changes
from graph_service.friends.presence_flags import Flags
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag, Pair, PairOutcome
from tests.conftest import wipe

pytestmark = pytest.mark.timeout(180)

CAP = 10_000
FANS = [f"fan{number:05}" for number in range(CAP)]


@pytest.fixture
async def crowd(migrated: Graph) -> AsyncIterator[Graph]:
    """One star with 10,000 friends, every third of them online, and one user more."""
    await wipe(migrated)
    users, flags = (
        Users(graph=migrated, shard_of=lambda _: 0, changed=ignore_changes, created=ignore_created),
        Flags(graph=migrated),
    )
    await users.upsert_many(
        [UserProfile("star", "Star"), UserProfile("late", "Late"), UserProfile("other", "Other")]
    )
    for start in range(0, CAP, MAX_PAIRS):
        part = FANS[start : start + MAX_PAIRS]
        await users.upsert_many([UserProfile(fan, fan) for fan in part])
        results = await Bulk(graph=migrated, changed=ignore_changes).batch(
            [Pair("star", fan) for fan in part], notify=False
        )
        assert {one.result for one in results} == {PairOutcome.CREATED}
        await flags.write_flags([Flag(fan, True, 1, 0) for fan in part[::3]])
    yield migrated
    await wipe(migrated)


async def test_a_user_at_the_friend_limit_is_served_and_accepts_no_more_friends(crowd: Graph) -> None:
    """Sync, pages, both ways of a refusal, and a free place after an unfriend."""
    friends, flags = Friends(graph=crowd, changed=ignore_changes), Flags(graph=crowd)
    view = await flags.sync("star")
    online = [fan for start in range(0, CAP, MAX_PAIRS) for fan in FANS[start : start + MAX_PAIRS][::3]]
    assert (sorted(view.online_friends), view.total_friends) == (online, CAP)
    found, after = 0, None
    while True:
        page = await friends.page("star", after=after, limit=1_000)
        found, after = found + len(page.friends), page.next
        if after is None:
            break
    assert found == CAP
    await friends.ask("late", "star")
    for call in (friends.ask("star", "late"), friends.ask("star", "other")):
        with pytest.raises(FriendLimitReached, match="'star' has reached the limit of 10000"):
            await call
    (refused,) = await Bulk(graph=crowd, changed=ignore_changes).batch([Pair("late", "star")])
    assert (refused.result, refused.reason) == (PairOutcome.REFUSED, "over the limit of 10000 friends: star")
    changes = await asyncio.gather(*(friends.remove(fan, "star") for fan in FANS[:20]))
    assert all(change.changed for change in changes)
    assert (await friends.ask("star", "late")).changed
    assert (await flags.sync("star")).total_friends == CAP - 19


async def test_a_user_at_the_friend_limit_is_erased_completely(crowd: Graph) -> None:
    """Every friend is notified, and nothing is left of the user."""
    report = await Users(
        graph=crowd, shard_of=lambda _: 0, changed=ignore_changes, created=ignore_created
    ).erase("star")
    assert (report["graph"]["friends"], report["graph"]["told"]) == (CAP, CAP)
    assert await crowd.statement("MATCH (u:User) WHERE COUNT { (u)-[:FRIEND]-() } > 0 RETURN u.id") == []
