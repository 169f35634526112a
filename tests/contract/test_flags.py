"""Online flags on real Neo4j: rows 6 and 7 of the walk."""

from __future__ import annotations

from graph_service.friends.friends import Friends
from graph_service.friends.outbox import Outbox
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag
from tests.contract.test_friends import everybody


async def friends_of(graph: Graph, me: str, *others: str) -> None:
    """Makes friends."""
    friends = Friends(graph)
    for other in others:
        await friends.ask(me, other)
        await friends.ask(other, me)


def flag(user: str, online: bool, at: int) -> Flag:
    """A flag in shard 7."""
    return Flag(user, online, at, 7)


async def test_a_newer_flag_changes_an_equal_one_is_told_again_an_older_one_is_nothing(graph: Graph) -> None:
    """And an id without a user is named."""
    await everybody(graph, "ann", "ben", "cat")
    flags = Flags(graph)
    await flags.write_flags([flag("ben", True, 100), flag("cat", True, 100)])
    settled = await flags.write_flags(
        [flag("ann", True, 100), flag("ben", True, 100), flag("cat", False, 99), flag("ghost", True, 1)]
    )
    assert (settled.changed, settled.duplicate, settled.stale, settled.unknown) == (
        {"ann"}, {"ben"}, {"cat"}, {"ghost"},
    )  # fmt: skip
    assert await flags.online_in_shards([7]) == {"ann": 100, "ben": 100, "cat": 100}


async def test_told_is_ones_own_state_and_the_friends_who_are_online(graph: Graph) -> None:
    """With the number of all friends and the clock of the read."""
    await everybody(graph, "ann", "ben", "cat", "dan", "stranger")
    await friends_of(graph, "ann", "ben", "cat", "dan")
    flags = Flags(graph)
    before = await flags.clock()
    await flags.write_flags([flag(user, True, 50) for user in ("ann", "ben", "cat", "stranger")])
    (told,) = await flags.read_snapshots(["ann", "nobody"])
    assert (told.user, told.name, told.online, told.presence_at, told.last_seen) == (
        "ann",
        "Ann",
        True,
        50,
        50,
    )
    assert (sorted(told.online_friends), told.total_friends) == (["ben", "cat"], 3)
    assert before <= told.ts <= await flags.clock()


async def test_the_invisible_are_offline_to_others_and_see_others_all_the_same(graph: Graph) -> None:
    """In told, in sync, in lists and in the query of the product; and last_seen stands still."""
    await everybody(graph, "ann", "ben")
    await friends_of(graph, "ann", "ben")
    flags, friends = Flags(graph), Friends(graph)
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


async def test_of_a_change_friends_hear_by_what_stood_when_it_was_committed(graph: Graph) -> None:
    """Who hides after the commit was visible in it, however often it is tried again; who hid before was not."""
    await everybody(graph, "ben")
    flags, gone = Flags(graph), [flag("ben", False, 60)]
    await flags.write_flags([flag("ben", True, 50)])
    assert not (await flags.write_flags(gone)).hidden
    await flags.set_visibility("ben", invisible=True)
    assert not (await flags.write_flags(gone)).hidden
    back = [flag("ben", True, 70)]
    assert (await flags.write_flags(back)).hidden == {"ben"}
    assert (await flags.write_flags(back)).hidden == {"ben"}
    await flags.set_visibility("ben", invisible=False)
    assert not (await flags.write_flags([flag("ben", False, 80)])).hidden


async def test_hiding_stands_in_the_outbox_where_it_shows(graph: Graph) -> None:
    """In the commit itself, so that friends are told whatever dies then; who hides while offline is not talked of."""
    await everybody(graph, "ann", "ben")
    flags, outbox = Flags(graph), Outbox(graph)
    await flags.write_flags([flag("ben", True, 50)])
    for user in ("ann", "ben"):
        await flags.set_visibility(user, invisible=True)
    waiting = await outbox.read()
    assert [(one.a.id, one.alone) for one in waiting] == [("ben", True)]
    await outbox.done([one.node for one in waiting])
    await flags.set_visibility("ben", invisible=True)
    assert await outbox.read() == []


async def test_nothing_to_settle_asks_nothing(graph: Graph) -> None:
    """An empty batch has an empty answer."""
    settled = await Flags(graph).write_flags([])
    assert not settled.changed | settled.duplicate | settled.stale | settled.unknown


async def test_the_presence_of_nobody_known_is_an_empty_answer(graph: Graph) -> None:
    """Not a row less than expected."""
    assert await Flags(graph).presence(["ghost"]) == []
    assert await Flags(graph).read_snapshots(["ghost"]) == []
    assert await Flags(graph).online_in_shards([99]) == {}
