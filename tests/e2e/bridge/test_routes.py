"""The HTTP routes that need PubNub, with official clients at the other end."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from graph_service.model.messages import MESSAGE
from pubnub_bridge.fanout.event_webhook import signature
from tests.e2e.bridge.conftest import World, eventually


async def test_a_session_says_everything_a_client_needs(world: World) -> None:
    """Without Access Manager there is no token, and the rest is complete."""
    await world.create_friends("ann", "bob")
    status, session = await world.call("POST", "/v1/session", "ann")
    assert status == 200
    shard = world.shards.shard("ann")
    assert session["channels"] == {
        "inbox": "inbox.ann",
        "presence": f"presence.shard-{shard}",
        "global": "status.global",
    }
    assert session["token"] is None


async def test_a_session_of_a_stranger_is_refused(world: World) -> None:
    """A valid token of a user who was never created."""
    status, problem = await world.call("POST", "/v1/session", "nobody")
    assert (status, problem["code"]) == (404, "user_not_found")


async def test_a_token_lets_a_client_read_its_own_inbox_and_no_other(strict_world: World) -> None:
    """With Access Manager a friend is announced, and another inbox cannot be read."""
    await strict_world.create_friends("ann", "bob", "eve")
    devices = {}
    for user in ("ann", "bob"):
        _, session = await strict_world.call("POST", "/v1/session", user)
        devices[user] = strict_world.device(user)
        devices[user].client.set_token(session["token"])
        devices[user].appear()
    await devices["ann"].receives(lambda m: m["type"] == "friends.sync")
    event = await devices["ann"].receives(
        lambda m: m["type"] == "friend.online" or "bob" in m["payload"].get("onlineFriends", ())
    )
    assert "bob" in str(event)
    _, session = await strict_world.call("POST", "/v1/session", "eve")
    eve = strict_world.device("eve")
    eve.client.set_token(session["token"])
    response = await eve.client.here_now().channels("inbox.ann").future()
    assert response.is_error()


async def test_a_requested_sync_is_sent_to_the_inbox(world: World) -> None:
    await world.create_friends("ann", "bob")
    (ann,) = await world.online("ann")
    await asyncio.sleep(1.1)
    before = ann.events()
    assert (await world.call("POST", "/v1/sync", "ann"))[0] == 200
    await ann.receives(lambda m: m["type"] == "friends.sync" and m not in before)


async def test_an_invisible_user_looks_offline_and_still_sees_others(world: World) -> None:
    """Ann is notified; Bob's own sync still shows Ann; becoming visible again is announced as well."""
    await world.create_friends("ann", "bob")
    ann, _ = await world.online("ann", "bob")
    assert (await world.call("PUT", "/v1/me/visibility", "bob", json={"invisible": True}))[0] == 200
    event = await ann.receives(lambda m: m["type"] == "friend.offline")
    assert event["payload"]["userId"] == "bob"
    _, sync = await world.call("GET", "/v1/sync", "bob")
    assert sync["onlineFriends"] == ["ann"]
    _, why = await world.call("GET", "/v1/why?viewer=ann&friend=bob")
    assert why["shownOnline"] is False
    assert "choice" in why["because"]
    count = len(ann.events())
    await world.call("PUT", "/v1/me/visibility", "bob", json={"invisible": False})
    await ann.receives(lambda m: m["type"] == "friend.online" and m in ann.events()[count:])


async def test_hiding_is_announced_although_the_call_died_after_its_commit(world: World) -> None:
    """The outbox node is committed with the choice; the relay finds it without being called."""
    await world.create_friends("ann", "bob")
    ann, _ = await world.online("ann", "bob")
    await world.context.flags.set_visibility("bob", invisible=True)
    event = await ann.receives(lambda m: m["type"] == "friend.offline")
    assert event["payload"]["userId"] == "bob"


async def test_a_new_friend_and_an_ended_friendship_reach_both_inboxes(world: World) -> None:
    """Request, accept and unfriend reach the right inboxes; friend.added carries the new friend's presence."""
    await world.create_friends("ann")
    await world.create_friends("bob")
    ann, bob = await world.online("ann", "bob")
    await world.call("PUT", "/v1/friends/bob", "ann")
    requested = await bob.receives(lambda m: m["type"] == "friend.requested")
    assert requested["payload"]["requestedBy"] == "ann"
    await world.call("PUT", "/v1/friends/ann", "bob")
    added = await ann.receives(lambda m: m["type"] == "friend.added")
    assert (added["payload"]["userId"], added["payload"]["online"]) == ("bob", True)
    await world.call("DELETE", "/v1/friends/ann", "bob")
    for device in (ann, bob):
        await device.receives(lambda m: m["type"] == "friend.removed")
    for message in ann.events() + bob.events():
        MESSAGE.validate_python(message)


async def test_presence_by_webhook_is_committed_like_presence_by_poll(world: World) -> None:
    """A join by Events & Actions, with the doubled schema prefix that was captured."""
    await world.create_friends("ann", "bob")
    (ann,) = await world.online("ann")
    shard = world.shards.shard("bob")
    body = {
        "schema": "pubnub.com/schemas/events/pubnub.com/schemas/events/presence.user.channel.joined?v=1.0.0",
        "data": [
            {
                "id": "1",
                "channel": f"presence.shard-{shard}",
                "userId": "bob",
                "occupancy": "1",
                "data": {},
                "timestamp": _now(),
                "subKey": "demo",
            }
        ],
    }
    headers = {"X-Webhook-Secret": "w" * 32}
    status, response = await world.call("POST", "/webhooks/presence", json=body, headers=headers)
    assert (status, response) == (200, {"accepted": 1, "ignored": 0})
    event = await ann.receives(lambda m: m["type"] == "friend.online")
    assert event["payload"]["userId"] == "bob"


async def test_a_webhook_without_its_secret_is_refused(world: World) -> None:
    headers = {"X-Webhook-Secret": "wrong"}
    status, problem = await world.call("POST", "/webhooks/presence", json={}, headers=headers)
    assert (status, problem["code"]) == (401, "webhook_refused")


async def test_all_clients_get_the_number_of_users_online(world: World) -> None:
    """status.count, once all partitions have reported their health."""
    await world.create_friends("ann", "bob")
    (ann,) = await world.online("ann")
    ann.client.subscribe().channels(["status.global"]).execute()
    event = await ann.receives(lambda m: m["type"] == "status.count" and not m["payload"]["degraded"])
    assert event["payload"]["onlineCount"] == 1
    MESSAGE.validate_python(event)


async def test_app_context_holds_flags_and_active_friends(world: World) -> None:
    """Write-behind: the user's flags and the channel of friends."""
    await world.create_friends("ann", "bob")
    ann, _ = await world.online("ann", "bob")
    async with asyncio.timeout(8):
        while True:
            response = await ann.client.get_uuid_metadata().uuid("bob").include_custom(True).future()
            members = await ann.client.get_channel_members().channel("friends.ann").future()
            if not response.is_error() and not members.is_error() and members.result.data:
                break
            await asyncio.sleep(0.1)
    assert response.result.data["custom"]["online"] is True
    assert [row["uuid"]["id"] for row in members.result.data] == ["bob"]


async def test_the_back_end_gets_signed_events_and_again_until_it_accepts_them(
    receiving_world: tuple[World, list[tuple[str, bytes]]],
) -> None:
    """The first post gets 503, and is repeated."""
    world, posts = receiving_world
    await world.create_friends("ann", "bob")
    await world.online("ann")
    async with asyncio.timeout(15):
        while len(posts) < 2:  # noqa: ASYNC110 - another task's list
            await asyncio.sleep(0.05)
    sign, body = posts[-1]
    assert sign == signature("e" * 32, body)
    events = json.loads(body)["events"]
    assert ("friend.online", "ann") in {(e["type"], e["payload"]["userId"]) for e in events}


async def test_a_user_present_before_being_created_is_found(world: World) -> None:
    """Presence was counted as that of an unknown user; creating the user looks it up."""
    early = world.device("zoe")
    early.appear()

    async def counted() -> bool:
        return (await world.context.presence_lookup.look_up("zoe")).online

    await eventually(counted)
    assert (await world.call("PUT", "/v1/users/zoe", json={"name": "Zoe"}))[0] == 200

    async def settled() -> bool:
        _, response = await world.call("POST", "/v1/presence:query", json={"ids": ["zoe"]})
        return bool(response["presence"][0]["online"])

    await eventually(settled)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
