"""Channel groups, message persistence and message actions with the official Python client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pubnub.models.consumer.message_actions import PNMessageAction

from tests.support.origin_client import Client, serving


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh origin."""
    async with serving() as client:
        yield client


async def test_a_group_is_filled_listed_emptied_and_removed(client: Client) -> None:
    async with client.sdk() as pubnub:
        add = pubnub.add_channel_to_channel_group().channels(["a", "b"]).channel_group("g")
        assert not (await add.future()).is_error()
        listed = await pubnub.list_channels_in_channel_group().channel_group("g").future()
        assert listed.result.channels == ["a", "b"]
        remove = pubnub.remove_channel_from_channel_group().channels(["a"]).channel_group("g")
        assert not (await remove.future()).is_error()
        listed = await pubnub.list_channels_in_channel_group().channel_group("g").future()
        assert listed.result.channels == ["b"]
        assert not (await pubnub.remove_channel_group().channel_group("g").future()).is_error()
        listed = await pubnub.list_channels_in_channel_group().channel_group("g").future()
        assert listed.result.channels == []


async def test_messages_are_fetched_counted_and_deleted(client: Client) -> None:
    """By the synchronous client, with meta, uuid and custom type."""
    pubnub = client.sync_sdk("u1")

    def run() -> dict[str, Any]:
        sent = [
            int(pubnub.publish().channel("ch").message({"n": n}).meta({"k": n}).sync().result.timetoken)
            for n in range(5)
        ]
        fetch = pubnub.fetch_messages().channels(["ch"]).include_meta(True).include_uuid(True)
        fetched = fetch.maximum_per_channel(3).sync().result.channels["ch"]
        counts = pubnub.message_counts().channel("ch").channel_timetokens([sent[1]]).sync().result.channels
        pubnub.delete_messages().channel("ch").start(sent[0]).end(sent[2]).sync()
        left = pubnub.fetch_messages().channels(["ch"]).sync().result.channels["ch"]
        return {"sent": sent, "fetched": fetched, "counts": counts, "left": left}

    found = await asyncio.to_thread(run)
    assert [(item.message, item.meta, item.uuid) for item in found["fetched"]] == [
        ({"n": n}, {"k": n}, "u1") for n in (2, 3, 4)
    ]
    assert found["counts"] == {"ch": 3}
    assert [item.message["n"] for item in found["left"]] == [0, 3, 4]
    assert [int(item.timetoken) for item in found["left"]] == [found["sent"][n] for n in (0, 3, 4)]


async def test_an_action_is_added_listed_shown_in_history_and_removed(client: Client) -> None:
    """By the asyncio client; a repeat is refused."""
    async with client.sdk("u1") as pubnub:
        timetoken = (await pubnub.publish().channel("ch").message("hi").future()).result.timetoken
        action = PNMessageAction().create(type="reaction", value="smile", message_timetoken=str(timetoken))
        added = (await pubnub.add_message_action().channel("ch").message_action(action).future()).result
        assert (added.type, added.value, added.uuid) == ("reaction", "smile", "u1")
        again = await pubnub.add_message_action().channel("ch").message_action(action).future()
        assert again.is_error()
        assert "Action Already Added" in str(again)
        listed = (await pubnub.get_message_actions().channel("ch").future()).result.actions
        assert [item.action_timetoken for item in listed] == [added.action_timetoken]
        fetch = pubnub.fetch_messages().channels(["ch"]).include_message_actions(True)
        (message,) = (await fetch.future()).result.channels["ch"]
        assert message.actions["reaction"]["smile"][0]["uuid"] == "u1"
        remove = pubnub.remove_message_action().channel("ch").message_timetoken(str(timetoken))
        assert not (await remove.action_timetoken(added.action_timetoken).future()).is_error()
        assert (await pubnub.get_message_actions().channel("ch").future()).result.actions == []
