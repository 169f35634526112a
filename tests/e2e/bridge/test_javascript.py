"""Presence events from end to end, received by official JavaScript clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from local_stack.origin.presence import Visit
from pubnub_bridge.client.friend_list import FriendList
from pubnub_bridge.pubnub_api.tokens import TOKEN_MINUTES
from tests.e2e.bridge.conftest import World, eventually
from tests.e2e.bridge.javascript import Node, running
from tests.e2e.origin.conftest import packages as packages  # noqa: PLC0414 - a fixture

DENIED = "PNAccessDeniedCategory"
MANY = 1000


@pytest.fixture
async def node(strict_world: World, packages: Path) -> AsyncIterator[Node]:
    """Official clients, each with the token of its user's session."""
    async with running(strict_world, packages) as made:
        yield made


async def test_a_friend_comes_leaves_and_flaps(strict_world: World, node: Node) -> None:
    """Online with the name, offline with the time; a reload within the debounce time notifies no friend."""
    await strict_world.create_friends("ann", "bob", "cat")
    (ann,) = await node.online("ann")
    (bob,) = await node.online("bob")
    assert (await ann.receives("friend.online", "bob"))["payload"]["name"] == "Bob"
    assert (await bob.receives("friends.sync"))["payload"]["totalFriends"] == 2
    bob.leave()
    bob.subscribe(bob.shard)
    (cat,) = await node.online("cat")
    await ann.receives("friend.online", "cat")
    cat.leave()
    await ann.receives("friend.offline", "cat")
    assert ann.event_types_about("bob") == ["friend.online"]
    bob.leave()
    assert (await ann.receives("friend.offline", "bob"))["payload"]["lastSeen"]


async def test_a_friend_whose_device_dies_is_announced_offline_after_the_timeout(
    strict_world: World, node: Node, packages: Path
) -> None:
    """There is no leave; PubNub's timeout is announced."""
    await strict_world.create_friends("ann", "bob")
    (ann,) = await node.online("ann")
    async with running(strict_world, packages) as other:
        (bob,) = await other.online("bob")
        await ann.receives("friend.online", "bob")
        token = await bob.token()
        await other.crash()
    assert ann.event_types_about("bob") == ["friend.online"]
    # A timeout of a second, shorter than official clients allow, so that the test does not take minutes.
    await heartbeat(strict_world, "bob", bob.shard, token, seconds=1)
    await ann.receives("friend.offline", "bob")


async def heartbeat(world: World, user: str, shard: str, token: str | None, seconds: int) -> None:
    """One heartbeat with this timeout."""
    url = f"http://{world.settings.pubnub_origin}/v2/presence/sub-key/demo/channel/{shard}/heartbeat"
    query = {"uuid": user, "heartbeat": str(seconds)} | ({"auth": token} if token else {})
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as reply:
        assert reply.status == 200


async def heartbeats(world: World, user: str, shard: str, token: str | None) -> None:
    """Heartbeats in quick succession, so that one follows another device's leave within the debounce time."""
    while True:
        await heartbeat(world, user, shard, token, seconds=300)
        await asyncio.sleep(0.05)


async def test_one_of_two_devices_leaves_and_the_friend_stays_online(strict_world: World, node: Node) -> None:
    """PubNub reports the leave; the look-up finds the other device after its next heartbeat."""
    await strict_world.create_friends("ann", "bob", "cat")
    (ann,) = await node.online("ann")
    phone, laptop = await node.online("bob", "bob")
    await ann.receives("friend.online", "bob")
    heartbeating = asyncio.create_task(heartbeats(strict_world, "bob", laptop.shard, await laptop.token()))
    phone.leave()
    (cat,) = await node.online("cat")
    await ann.receives("friend.online", "cat")
    heartbeating.cancel()
    assert ann.event_types_about("bob") == ["friend.online"]
    await cat.receives("friends.sync")
    assert any("bob" in e["payload"].get("onlineFriends", ()) for e in cat.events)


async def test_a_client_may_read_neither_another_inbox_nor_presence_events(
    strict_world: World, node: Node
) -> None:
    """Eve's token is valid for her own channels only: Ann gets the message, Eve does not."""
    await strict_world.create_friends("ann", "bob")
    await strict_world.create_friends("eve")
    (ann,) = await node.online("ann")
    eves = [await node.tab("eve") for _ in range(3)]
    for eve, forbidden in zip(eves, ("inbox.ann", f"{ann.shard}-pnpres", "inbox.*"), strict=True):
        eve.subscribe(forbidden)
        await eve.until(lambda tab=eve: DENIED in tab.statuses)  # type: ignore[misc]
    await node.online("bob")
    await ann.receives("friend.online", "bob")
    assert [eve.messages for eve in eves] == [[], [], []]


async def test_an_ended_token_is_renewed_and_nothing_is_missed(strict_world: World, node: Node) -> None:
    """The origin's clock passes the end of the token; with a new token the client goes on where it stopped."""
    await strict_world.create_friends("ann")
    await strict_world.create_friends("bob")
    (ann,) = await node.online("ann")
    origin = strict_world.origin.origin
    origin.move(origin.clock.now + 60 * TOKEN_MINUTES + 5)
    await strict_world.call("POST", "/v1/sync", "ann")
    await ann.until(lambda: DENIED in ann.statuses)
    await strict_world.call("PUT", "/v1/friends/ann", "bob")
    await ann.renew()
    ann.reconnect()
    await ann.receives("friend.requested")


async def test_a_thousand_friends_online_come_in_syncs_of_several_parts(
    strict_world: World, node: Node, packages: Path
) -> None:
    """Each part is within 32 KiB, and together they are the thousand; later arrivals are announced in batches."""
    friends = [f"friend-{number:04}-{'x' * 30}" for number in range(MANY)]
    await strict_world.create_friends("ann")
    await strict_world.graph.statement(
        "MATCH (a:User {id: 'ann'}) UNWIND $ids AS id CREATE (a)-[:FRIEND]->(:User {id: id, name: id})",
        ids=friends,
    )
    (early,) = await node.online("ann")
    present(strict_world, friends)

    async def all_here() -> bool:
        return {u for u, shown in view(early.messages).friends.items() if shown.online} == set(friends)

    await eventually(all_here, 60.0)
    (late,) = await node.online("ann")
    await late.until(lambda: view(late.messages).online == set(friends))
    parts = [message for message in late.messages if message["type"] == "friends.sync"]
    assert {m["payload"]["parts"] for m in parts} == {2}
    assert {m["payload"]["totalOnline"] for m in parts} == {MANY}


def view(messages: list[dict[str, object]]) -> FriendList:
    """What a client shows after these messages."""
    made = FriendList()
    for message in messages:
        made.apply(message)
    return made


def present(world: World, users: list[str]) -> None:
    """All of them are present at the origin at once, without a thousand connections."""
    keyset = world.origin.origin.keysets["demo"]
    keyset.configure({"presence": {"interval_s": 0.5}})
    for user in users:
        keyset.visit(Visit(user, (world.shards.channel(world.shards.shard(user)),)))
