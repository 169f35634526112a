"""Online flags on real Neo4j: the commit and read stages."""

from __future__ import annotations

from graph_service.friends.friends import Friends, ignore_changes
from graph_service.friends.outbox import Outbox
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag
from tests.contract.test_friends import create_users


async def friends_of(graph: Graph, me: str, *others: str) -> None:
    """Make friends."""
    friends = Friends(graph=graph, changed=ignore_changes)
    for other in others:
        await friends.ask(me, other)
        await friends.ask(other, me)


def flag(user: str, online: bool, at: int) -> Flag:
    """A flag in shard 7."""
    return Flag(user, online, at, 7)


async def test_a_newer_flag_is_written_a_duplicate_reported_and_a_stale_one_ignored(graph: Graph) -> None:
    """And an id without a user is unknown."""
    await create_users(graph, "ann", "ben", "cat")
    flags = Flags(graph=graph)
    await flags.write_flags([flag("ben", True, 100), flag("cat", True, 100)])
    settled = await flags.write_flags(
        [flag("ann", True, 100), flag("ben", True, 100), flag("cat", False, 99), flag("ghost", True, 1)]
    )
    assert (settled.changed, settled.duplicate, settled.stale, settled.unknown) == (
        {"ann"}, {"ben"}, {"cat"}, {"ghost"},
    )  # fmt: skip
    assert await flags.online_in_shards([7]) == {"ann": 100, "ben": 100, "cat": 100}


async def test_a_snapshot_has_the_users_state_and_the_friends_who_are_online(graph: Graph) -> None:
    """With the number of all friends and the clock of the read."""
    await create_users(graph, "ann", "ben", "cat", "dan", "stranger")
    await friends_of(graph, "ann", "ben", "cat", "dan")
    flags = Flags(graph=graph)
    before = await flags.clock()
    await flags.write_flags([flag(user, True, 50) for user in ("ann", "ben", "cat", "stranger")])
    (snapshot,) = await flags.read_snapshots(["ann", "ghost"])
    assert (snapshot.user, snapshot.name, snapshot.online, snapshot.presence_at, snapshot.last_seen) == (
        "ann",
        "Ann",
        True,
        50,
        50,
    )
    assert (sorted(snapshot.online_friends), snapshot.total_friends) == (["ben", "cat"], 3)
    assert before <= snapshot.ts <= await flags.clock()


async def test_invisible_users_are_offline_to_others_and_still_see_others(graph: Graph) -> None:
    """In snapshots, in sync, in lists and in the presence query; and last_seen does not change."""
    await create_users(graph, "ann", "ben")
    await friends_of(graph, "ann", "ben")
    flags, friends = Flags(graph=graph), Friends(graph=graph, changed=ignore_changes)
    await flags.write_flags([flag("ann", True, 50), flag("ben", True, 50)])
    assert await flags.set_visibility("ben", invisible=True)
    assert not await flags.set_visibility("ben", invisible=True)
    (ann,) = await flags.read_snapshots(["ann"])
    assert (list(ann.online_friends), list(ann.visible_friends)) == (["ben"], [])
    (ben,) = await flags.read_snapshots(["ben"])
    assert (ben.online, ben.present, ben.invisible, list(ben.visible_friends)) == (False, True, True, ["ann"])
    seen = ben.last_seen
    await flags.write_flags([flag("ben", False, seen + 1_000)])
    await flags.write_flags([flag("ben", True, seen + 2_000)])
    (row,) = (await friends.page("ann")).friends
    assert (row.online, row.last_seen) == (False, seen)
    assert (await friends.page("ann", "online")).friends == []
    assert [friend.id for friend in (await friends.page("ann", "offline")).friends] == ["ben"]
    assert not (await friends.one("ann", "ben")).friend.online
    assert [(one.id, one.online, one.last_seen) for one in await flags.presence(["ben"])] == [
        ("ben", False, seen)
    ]
    assert await flags.set_visibility("ben", invisible=False)
    assert (await flags.sync("ann")).online_friends == ["ben"]


async def test_a_change_is_hidden_by_the_visibility_at_its_commit(graph: Graph) -> None:
    """A user who hides after the commit was visible in it, however often it is retried; one who hid before was not."""
    await create_users(graph, "ben")
    flags, gone = Flags(graph=graph), [flag("ben", False, 60)]
    await flags.write_flags([flag("ben", True, 50)])
    assert not (await flags.write_flags(gone)).hidden
    await flags.set_visibility("ben", invisible=True)
    assert not (await flags.write_flags(gone)).hidden
    back = [flag("ben", True, 70)]
    assert (await flags.write_flags(back)).hidden == {"ben"}
    assert (await flags.write_flags(back)).hidden == {"ben"}
    await flags.set_visibility("ben", invisible=False)
    assert not (await flags.write_flags([flag("ben", False, 80)])).hidden


async def test_a_change_of_visibility_is_in_the_outbox_where_friends_can_see_it(graph: Graph) -> None:
    """In the same transaction, so that friends are notified even after a crash; hiding while offline notifies no friend."""
    await create_users(graph, "ann", "ben")
    flags, outbox = Flags(graph=graph), Outbox(graph=graph)
    await flags.write_flags([flag("ben", True, 50)])
    for user in ("ann", "ben"):
        await flags.set_visibility(user, invisible=True)
    waiting = await outbox.read()
    assert [(one.a.id, one.alone) for one in waiting] == [("ben", True)]
    await outbox.done([one.node for one in waiting])
    await flags.set_visibility("ben", invisible=True)
    assert await outbox.read() == []


async def test_an_empty_batch_of_flags_runs_no_query(graph: Graph) -> None:
    """And its result is empty."""
    settled = await Flags(graph=graph).write_flags([])
    assert not settled.changed | settled.duplicate | settled.stale | settled.unknown


async def test_the_presence_of_unknown_users_is_an_empty_result(graph: Graph) -> None:
    """Not an error for a missing row."""
    assert await Flags(graph=graph).presence(["ghost"]) == []
    assert await Flags(graph=graph).read_snapshots(["ghost"]) == []
    assert await Flags(graph=graph).online_in_shards([99]) == {}
