"""The walk of one presence event, seen by official clients."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.model.messages import MESSAGE
from tests.e2e.bridge.conftest import DEBOUNCE_SECONDS, World, until


async def test_a_friend_hears_online_after_the_hold(world: World) -> None:
    """Ann is online; Bob joins his shard; Ann's inbox gets friend.online, and both get friends.sync."""
    await world.create_friends("ann", "bob")
    (ann,), bob = await world.online("ann"), world.device("bob")
    bob.appear()
    told = await ann.receives(lambda m: m["type"] == "friend.online")
    assert told["payload"]["userId"] == "bob"
    assert told["payload"]["name"] == "Bob"
    sync = await bob.receives(lambda m: m["type"] == "friends.sync" and m["payload"]["onlineFriends"])
    assert sync["payload"] | {} == {
        "onlineFriends": ["ann"],
        "totalFriends": 1,
        "totalOnline": 1,
        "part": 1,
        "parts": 1,
    }
    for message in ann.listener.messages + bob.listener.messages:
        MESSAGE.validate_python(message)


async def test_a_friend_hears_offline_after_the_hold(world: World) -> None:
    """Bob leaves his shard for longer than the hold."""
    await world.create_friends("ann", "bob")
    ann, bob = await world.online("ann", "bob")
    await bob.leave()
    told = await ann.receives(lambda m: m["type"] == "friend.offline")
    assert told["payload"]["userId"] == "bob"


async def test_a_flap_inside_the_hold_tells_nothing(world: World) -> None:
    """Bob leaves and comes back at once: no friend hears of it."""
    await world.create_friends("ann", "bob")
    (ann,), bob = await world.online("ann"), world.device("bob")
    bob.appear()
    await ann.receives(lambda m: m["type"] == "friend.online")
    await bob.leave()
    await asyncio.sleep(0.05)
    bob.appear()
    with pytest.raises(TimeoutError):
        await ann.receives(lambda m: m["type"] == "friend.offline", seconds=DEBOUNCE_SECONDS + 0.6)
    assert sum(m["type"] == "friend.online" for m in ann.events()) == 1


async def test_a_friend_who_comes_back_is_told_again(world: World) -> None:
    """Gone for longer than the hold, and back: online, offline, online; each once."""
    await world.create_friends("ann", "bob")
    (ann,) = await world.online("ann")
    (bob,) = await world.online("bob")
    await bob.leave()
    await ann.receives(lambda m: m["type"] == "friend.offline")
    bob.appear()
    seen = lambda: [m["type"] for m in ann.events() if m["payload"].get("userId") == "bob"]  # noqa: E731
    await until(lambda: len(seen()) == 3)
    assert seen() == ["friend.online", "friend.offline", "friend.online"]


async def test_who_is_blocked_hears_of_the_end_and_of_nothing_after_it(world: World) -> None:
    """Ann blocks Bob, leaves and comes back: Bob hears friend.removed only; his sync has nobody."""
    await world.create_friends("ann", "bob")
    await world.create_friends("bob", "cat")
    ann, bob = await world.online("ann", "bob")
    await world.call("PUT", "/v1/blocks/bob", "ann")
    await bob.receives(lambda m: m["type"] == "friend.removed")
    before = len(bob.events())
    await ann.leave()
    await world.online("cat")
    await bob.receives(lambda m: m["type"] == "friend.online" and m["payload"]["userId"] == "cat")
    assert not any("ann" in str(m["payload"]) for m in bob.events()[before:])
    _, sync = await world.call("GET", "/v1/sync", "bob")
    assert sync["onlineFriends"] == ["cat"]
