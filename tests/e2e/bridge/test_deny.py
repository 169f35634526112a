"""A client's token allows no other inbox, no presence events and no writing, tried with PubNub's official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNStatusCategory
from pubnub.models.consumer.objects_v2.memberships import PNChannelMembership
from pubnub.pubnub_asyncio import PubNubAsyncio

from pubnub_bridge.pubnub_api.tokens import TOKEN_MINUTES
from tests.e2e.bridge.conftest import Device, World


async def signed_in(world: World, user: str) -> tuple[Device, dict[str, Any]]:
    """An official client with the token of the user's session."""
    status, session = await world.call("POST", "/v1/session", user)
    assert status == 200
    device = world.device(user)
    device.client.set_token(session["token"])
    return device, session


async def test_a_sessions_token_grants_read_on_three_channels_and_get_on_ones_own_and_nothing_else(
    strict_world: World,
) -> None:
    """As parsed by the official client: no pattern, no presence channel, no write bit, one user id."""
    await strict_world.create_friends("ann")
    device, session = await signed_in(strict_world, "ann")
    grant = device.client.parse_token(session["token"])
    shard = session["channels"]["presence"]
    assert bits(grant["resources"]["channels"]) == {
        "inbox.ann": {"read"},
        shard: {"read"},
        "status.global": {"read"},
        "friends.ann": {"get"},
    }
    assert bits(grant["resources"]["uuids"]) == {"ann": {"get"}}
    assert not grant["resources"].get("groups")
    assert not any(grant["patterns"].values())
    assert grant["authorized_uuid"] == "ann"
    assert grant["ttl"] == TOKEN_MINUTES
    assert "-pnpres" not in json.dumps(grant["resources"])


def bits(resources: dict[str, dict[str, bool]]) -> dict[str, set[str]]:
    """The permissions on each resource, by name."""
    return {name: {bit for bit, allowed in one.items() if allowed} for name, one in resources.items()}


def attempts(client: PubNubAsyncio, shard: str) -> dict[str, Any]:
    """Everything a client could try, other than subscribing."""
    other = "presence.shard-0" if shard != "presence.shard-0" else "presence.shard-1"
    message = {"type": "friend.online"}
    return {
        "write into another's inbox": client.publish().channel("inbox.bob").message(message),
        "write into the own inbox": client.publish().channel("inbox.eve").message(message),
        "write to all users": client.publish().channel("status.global").message(message),
        "write on the own shard": client.publish().channel(shard).message(message),
        "forge presence": client.publish().channel(f"{shard}-pnpres").message({"action": "leave"}),
        "write anywhere": client.publish().channel("anywhere").message(message),
        "signal": client.signal().channel("inbox.bob").message("x"),
        "fire": client.fire().channel("inbox.bob").message("x"),
        "who is on another's inbox": client.here_now().channels("inbox.bob"),
        "who is on another shard": client.here_now().channels(other),
        "another's messages of before": client.fetch_messages().channels(["inbox.bob"]),
        "delete messages": client.delete_messages().channel("inbox.eve"),
        "write the own flags": client.set_uuid_metadata().uuid("eve").set_name("Eve!"),
        "read another's flags": client.get_uuid_metadata().uuid("bob"),
        "write another's flags": client.set_uuid_metadata().uuid("bob").set_name("Not Bob"),
        "erase another": client.remove_uuid_metadata().uuid("bob"),
        "list all users": client.get_all_uuid_metadata(),
        "list all channels": client.get_all_channel_metadata(),
        "another's friends": client.get_channel_members().channel("friends.bob"),
        "another's channel": client.get_channel_metadata().channel("friends.bob"),
        "write the own friends": client.set_channel_metadata().channel("friends.eve").set_name("x"),
        "join another's friends": client.set_memberships()
        .uuid("eve")
        .channel_memberships([PNChannelMembership.channel("friends.bob")]),
        "another's memberships": client.get_memberships().uuid("bob"),
        "a group of inboxes": client.add_channel_to_channel_group()
        .channels(["inbox.bob"])
        .channel_group("mine"),
        "grant oneself a token": client.grant_token().ttl(5).authorized_uuid("eve"),
    }


async def test_everything_else_that_a_client_tries_with_its_token_is_refused(strict_world: World) -> None:
    """Except presence state, which comes with read (PubNub docs: permissions) and which the bridge never reads."""
    world = strict_world
    await world.create_friends("eve", "bob")
    await world.context.pubnub.set_user("bob", "Bob", {"online": False})
    device, session = await signed_in(world, "eve")
    let_through = []
    for what, endpoint in attempts(device.client, session["channels"]["presence"]).items():
        try:
            response = await endpoint.future()
        except Exception:  # noqa: BLE001 - the client itself refuses some
            continue
        if not response.is_error():
            let_through.append(what)
    assert let_through == []
    fine = await device.client.get_uuid_metadata().uuid("eve").future()
    assert "403" not in str(fine), "the own flags may be read"


SUBSCRIBED: dict[str, Callable[[str, str], str]] = {
    "another's inbox": lambda _shard, _other: "inbox.bob",
    "both inboxes at once": lambda _shard, _other: "inbox.eve,inbox.bob",
    "all inboxes": lambda _shard, _other: "inbox.*",
    "presence of the own shard": lambda shard, _other: f"{shard}-pnpres",
    "presence of the own inbox": lambda _shard, _other: "inbox.eve-pnpres",
    "another shard": lambda _shard, other: other,
    "presence of another shard": lambda _shard, other: f"{other}-pnpres",
    "all shards": lambda _shard, _other: "presence.*",
    "another's App Context events": lambda _shard, _other: "friends.bob",
    "another's name": lambda _shard, _other: "bob",
}


class DenialListener(SubscribeCallback):
    """Sets `denied` when access is denied, and records everything else."""

    def __init__(self) -> None:
        self.denied = asyncio.Event()
        self.received: list[Any] = []

    def status(self, pubnub: Any, status: Any) -> None:
        if status.category == PNStatusCategory.PNAccessDeniedCategory:
            self.denied.set()

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Must not come."""
        self.received.append(presence)

    def message(self, pubnub: Any, message: Any) -> None:
        """Must not come."""
        self.received.append(message)


async def test_subscribing_to_anything_but_the_own_channels_is_denied(strict_world: World) -> None:
    """By HTTP for each; as another user id or without a token, the user's own channels are denied as well."""
    world = strict_world
    await world.create_friends("eve", "bob")
    _, session = await signed_in(world, "eve")
    shard = session["channels"]["presence"]
    other = world.shards.channel((session["shard"] + 1) % world.shards.shards)
    base = f"http://{world.settings.pubnub_origin}/v2/subscribe/demo"
    auth = {"uuid": "eve", "auth": session["token"], "tt": "0"}
    async with aiohttp.ClientSession() as http:

        async def status(channels: str, query: dict[str, str]) -> int:
            async with http.get(f"{base}/{quote(channels, safe=',')}/0", params=query) as response:
                return response.status

        allowed = f"inbox.eve,{shard},status.global"
        assert await status(allowed, auth) == 200
        refused = {what: await status(of(shard, other), auth) for what, of in SUBSCRIBED.items()}
        assert refused == dict.fromkeys(SUBSCRIBED, 403)
        assert await status(allowed, auth | {"uuid": "bob"}) == 403
        assert await status(allowed, {"uuid": "eve", "tt": "0"}) == 403
        assert await status(allowed, auth | {"auth": session["token"][:-4] + "AAAA"}) == 403


@pytest.mark.parametrize("wanted", ["inbox.bob", "presence"])
async def test_the_official_client_receives_nothing_but_its_denial(strict_world: World, wanted: str) -> None:
    """While it listens, Bob's inbox gets a message and his shard a join."""
    world = strict_world
    await world.create_friends("eve", "bob")
    eve, session = await signed_in(world, "eve")
    bob, _ = await signed_in(world, "bob")
    listener = DenialListener()
    eve.client.add_listener(listener)
    if wanted == "presence":
        eve.client.subscribe().channels([session["channels"]["presence"]]).with_presence().execute()
    else:
        eve.client.subscribe().channels([wanted]).execute()
    await asyncio.wait_for(listener.denied.wait(), 10)
    bob.appear()
    await bob.receives(lambda message: message["type"] == "friends.sync")
    assert listener.received == []
