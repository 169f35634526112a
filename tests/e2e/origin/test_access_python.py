"""Tokens with the official Python client: granted, used, refused, expired and revoked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNReconnectionPolicy, PNStatusCategory
from pubnub.models.consumer.v3.channel import Channel
from pubnub.models.consumer.v3.group import Group
from pubnub.models.consumer.v3.uuid import UUID

from tests.support.origin_client import Client, serving

REFUSED = (PNStatusCategory.PNAccessDeniedCategory, PNStatusCategory.PNConnectionErrorCategory)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh origin with Access Manager on."""
    async with serving(access_manager=True) as client:
        yield client


async def granted(client: Client, ttl: int = 60) -> str:
    """The token that a product's server would give to user `u1`."""
    async with client.sdk("server", secret=True) as server:
        envelope = (
            await server.grant_token()
            .ttl(ttl)
            .authorized_uuid("u1")
            .channels(
                [
                    Channel.id("inbox.u1").read(),
                    Channel.id("presence.shard-3").read(),
                    Channel.pattern("^room\\.[0-9]+$").read().write(),
                ]
            )
            .groups([Group.id("g1").read()])
            .uuids([UUID.id("u1").get()])
            .meta({"plan": "free"})
            .future()
        )
        return str(envelope.result.token)


async def test_the_granted_token_says_what_was_granted(client: Client) -> None:
    """Parsed by the client."""
    async with client.sdk() as pubnub:
        parsed = pubnub.parse_token(await granted(client))
    assert (parsed["version"], parsed["ttl"], parsed["authorized_uuid"]) == (2, 60, "u1")
    assert parsed["meta"] == {"plan": "free"}
    assert parsed["resources"]["channels"]["inbox.u1"]["read"]
    assert not parsed["resources"]["channels"]["inbox.u1"]["write"]
    assert parsed["patterns"]["channels"]["^room\\.[0-9]+$"]["write"]
    assert parsed["resources"]["uuids"]["u1"]["get"]


async def test_a_token_lets_its_user_do_what_it_says_and_nothing_else(client: Client) -> None:
    """Write on publish, read on history and here-now, get on metadata."""
    token = await granted(client)
    async with client.sdk("u1") as user, client.sdk("server", secret=True) as server:
        user.set_token(token)
        assert (await user.publish().channel("room.7").message("hi").future()).result.timetoken
        assert (await user.here_now().channels("inbox.u1").future()).result is not None
        refusal = await user.publish().channel("inbox.u1").message("hi").future()
        assert refusal.is_error()
        assert refusal.status.status_code == 403
        assert '"channels": ["inbox.u1"]' in str(refusal).replace("'", '"')
        await server.set_uuid_metadata().uuid("u1").set_name("Ann").future()
        assert (await user.get_uuid_metadata().uuid("u1").future()).result.data["name"] == "Ann"
        refusal = await user.set_uuid_metadata().uuid("u1").set_name("Eve").future()
        assert refusal.is_error()
    async with client.sdk("u2") as other:
        other.set_token(token)
        assert (await other.here_now().channels("inbox.u1").future()).is_error()


async def test_a_server_that_signs_needs_no_token(client: Client) -> None:
    """The asyncio client with a secret key: every family, GET, POST, PATCH and DELETE alike."""
    async with client.sdk("server", secret=True) as server:
        assert (await server.publish().channel("ab~!'()").message({"x": "ä'~"}).future()).result.timetoken
        posted = await server.publish().channel("c").message({"x": "ä"}).use_post(True).future()
        assert posted.result.timetoken
        fetched = await server.fetch_messages().channels(["c"]).include_meta(True).future()
        assert [item.message for item in fetched.result.channels["c"]] == [{"x": "ä"}]
        assert (await server.set_channel_metadata().channel("c").set_name("ä~*'()!").future()).result.data[
            "id"
        ]
        assert not (await server.delete_messages().channel("c").future()).is_error()
        added = await server.add_channel_to_channel_group().channels(["c"]).channel_group("g").future()
        assert not added.is_error()
        listed = await server.get_all_uuid_metadata().filter("name LIKE 'ä*' && id != '~'").future()
        assert listed.result.data == []


async def test_the_synchronous_client_signs_the_same_way(client: Client) -> None:
    """Grant, publish and revoke from a thread."""
    server = client.sync_sdk("server", secret=True)

    def run() -> tuple[str, str]:
        granted = server.grant_token().ttl(5).channels([Channel.id("c").read()]).sync()
        assert server.publish().channel("c").message("x").sync().result.timetoken
        assert server.publish().channel("c").message("x").use_post(True).sync().result.timetoken
        revoked = server.revoke_token(granted.result.token).sync()
        return granted.result.token, str(revoked.result)

    token, revoked = await asyncio.to_thread(run)
    assert revoked == "Revoke token success with status: 200"
    async with client.sdk("u1") as user:
        user.set_token(token)
        refusal = await user.here_now().channels("c").future()
        assert refusal.is_error()
        assert "Token is revoked" in str(refusal)


async def test_the_asyncio_client_revokes_a_token(client: Client) -> None:
    """Its user is rejected from then on."""
    token = await granted(client)
    async with client.sdk("server", secret=True) as server, client.sdk("u1") as user:
        user.set_token(token)
        assert not (await user.here_now().channels("inbox.u1").future()).is_error()
        assert not (await server.revoke_token(token).future()).is_error()
        assert "Token is revoked" in str(await user.here_now().channels("inbox.u1").future())


async def test_an_expired_token_is_refused(client: Client) -> None:
    """The virtual clock moves; the client gets the reason."""
    token = await granted(client, ttl=1)
    async with client.sdk("u1") as user:
        user.set_token(token)
        assert not (await user.here_now().channels("inbox.u1").future()).is_error()
        client.origin.clock.advance(60)
        refusal = await user.here_now().channels("inbox.u1").future()
        assert "Token is expired." in str(refusal)
        user.set_token(await granted(client, ttl=1))
        assert not (await user.here_now().channels("inbox.u1").future()).is_error()


async def test_a_grant_out_of_range_reaches_the_caller_as_an_error(client: Client) -> None:
    """With the response's text."""
    async with client.sdk("server", secret=True) as server:
        refusal = await server.grant_token().ttl(43_201).channels([Channel.id("c").read()]).future()
    assert refusal.is_error()
    assert "Range should be 1 to 43200 minute(s)." in str(refusal)


async def test_a_subscriber_without_the_right_is_announced_and_gets_nothing(client: Client) -> None:
    """Read on subscribe: the listener gets a 403."""
    async with client.sdk("u1") as user:
        user.config.reconnect_policy = PNReconnectionPolicy.NONE
        user.set_token(await granted(client))
        statuses: asyncio.Queue[object] = asyncio.Queue()

        class Listener(SubscribeCallback):
            def status(self, _pubnub: object, status: object) -> None:
                statuses.put_nowait(status.category)

        user.add_listener(Listener())
        user.subscribe().channels(["secret"]).execute()
        async with asyncio.timeout(5):
            while await statuses.get() not in REFUSED:
                pass
