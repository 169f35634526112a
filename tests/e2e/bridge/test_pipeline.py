"""One presence event from end to end, received by official clients."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.model.messages import MESSAGE
from tests.e2e.bridge.conftest import DEBOUNCE_SECONDS, World, until


async def test_a_friend_is_notified_online_after_the_debounce_time(world: World) -> None:
    """Ann is online; Bob joins his shard; Ann's inbox gets friend.online, and both get friends.sync."""
    await world.create_friends("ann", "bob")
    (ann,), bob = await world.online("ann"), world.device("bob")
    bob.appear()
    event = await ann.receives(lambda m: m["type"] == "friend.online")
    assert event["payload"]["userId"] == "bob"
    assert event["payload"]["name"] == "Bob"
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


async def test_a_friend_is_notified_offline_after_the_debounce_time(world: World) -> None:
    await world.create_friends("ann", "bob")
    ann, bob = await world.online("ann", "bob")
    await bob.leave()
    event = await ann.receives(lambda m: m["type"] == "friend.offline")
    assert event["payload"]["userId"] == "bob"


async def test_a_flap_within_the_debounce_time_notifies_no_friend(world: World) -> None:
    """Bob leaves and comes back at once."""
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


async def test_a_friend_who_comes_back_is_announced_again(world: World) -> None:
    """Gone for longer than the debounce time, and back: online, offline, online; each once."""
    await world.create_friends("ann", "bob")
    (ann,) = await world.online("ann")
    (bob,) = await world.online("bob")
    await bob.leave()
    await ann.receives(lambda m: m["type"] == "friend.offline")
    bob.appear()
    received = lambda: [m["type"] for m in ann.events() if m["payload"].get("userId") == "bob"]  # noqa: E731
    await until(lambda: len(received()) == 3)
    assert received() == ["friend.online", "friend.offline", "friend.online"]


async def test_a_blocked_user_gets_the_end_of_the_friendship_and_nothing_after_it(world: World) -> None:
    """Ann blocks Bob and leaves: Bob gets friend.removed only; his sync does not contain her."""
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
