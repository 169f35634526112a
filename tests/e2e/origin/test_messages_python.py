"""Official Python clients: messages and presence, sync and asyncio, with each of their subscription managers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub import NativeSubscriptionManager, PubNub
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, EventEngineSubscriptionManager, PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler
from pubnub.request_handlers.async_httpx import AsyncHttpxRequestHandler

from local_stack.origin.app import Running
from tests.support.ear import MessageListener

MANAGERS = [EventEngineSubscriptionManager, AsyncioSubscriptionManager]
HANDLERS = [AsyncAiohttpRequestHandler, AsyncHttpxRequestHandler]
KINDS = [(manager, handler) for manager in MANAGERS for handler in HANDLERS]


def configuration(origin: Running, user: str, **more: Any) -> PNConfiguration:
    """Public settings only."""
    made = PNConfiguration()
    made.subscribe_key = made.publish_key = "demo"
    made.user_id = user
    made.origin = f"127.0.0.1:{origin.port}"
    made.ssl = False
    made.enable_presence_heartbeat = True
    made.set_presence_timeout(more.pop("presence_timeout", 20))
    for name, value in more.items():
        setattr(made, name, value)
    return made


@asynccontextmanager
async def client(
    origin: Running, user: str, kind: tuple[Any, Any] = KINDS[0], **more: Any
) -> AsyncIterator[tuple[PubNubAsyncio, MessageListener]]:
    """An asyncio client with a listener."""
    pubnub = PubNubAsyncio(
        configuration(origin, user, **more), subscription_manager=kind[0], custom_request_handler=kind[1]
    )
    ear = MessageListener()
    pubnub.add_listener(ear)
    try:
        yield pubnub, ear
    finally:
        if ear.kept:  # the client cannot unsubscribe from nothing
            pubnub.unsubscribe_all()
            await asyncio.sleep(0.05)
        await pubnub.stop()


def is_event(action: str, user: str) -> Callable[[Any], bool]:
    """Whether a presence result is this event."""
    return lambda presence: presence.event == action and presence.uuid == user


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0].__name__}-{kind[1].__name__}")
async def test_asyncio_clients_meet_talk_and_part(origin: Running, kind: tuple[Any, Any]) -> None:
    """Join, message with metadata, signal, state, here-now, where-now, leave."""
    async with client(origin, "ann", kind) as (ann, ear):
        ann.subscribe().channels("ch").with_presence().execute()
        await ear.connected()
        await ear.heard("presence", is_event("join", "ann"))
        async with client(origin, "bob", kind) as (bob, bobs_ear):
            bob.subscribe().channels("ch").execute()
            joined = await ear.heard("presence", is_event("join", "bob"))
            assert (joined.channel, joined.occupancy) == ("ch", 2)
            await bobs_ear.connected()
            sent = await bob.publish().channel("ch").message({"text": "hé"}).meta({"m": 1}).future()
            heard = await ear.heard("message")
            assert (heard.message, heard.publisher, heard.user_metadata) == ({"text": "hé"}, "bob", {"m": 1})
            assert heard.timetoken == sent.result.timetoken
            await (
                bob.publish()
                .channel("ch")
                .message(["post"])
                .use_post(True)
                .custom_message_type("a-type")
                .future()
            )
            posted = await ear.heard("message", lambda message: message.message == ["post"])
            assert posted.custom_message_type == "a-type"
            await bob.signal().channel("ch").message("typing").future()
            assert (await ear.heard("signal")).message == "typing"
            await bob.set_state().channels("ch").state({"mood": "fine"}).future()
            await ear.heard(
                "presence", lambda seen: seen.event == "state-change" and seen.state == {"mood": "fine"}
            )
            here = await ann.here_now().channels("ch").include_uuids(True).include_state(True).future()
            occupants = {one.uuid: one.state for one in here.result.channels[0].occupants}
            assert occupants == {"ann": None, "bob": {"mood": "fine"}}
            assert (await ann.where_now().uuid("bob").future()).result.channels == ["ch"]
            state = await ann.get_state().channels("ch").uuid("bob").future()
            assert state.result.channels == {"ch": {"mood": "fine"}}
        await ear.heard("presence", is_event("leave", "bob"))


@pytest.mark.parametrize("kind", KINDS[::2], ids=lambda kind: kind[0].__name__)
async def test_asyncio_clients_follow_groups_and_wildcards(origin: Running, kind: tuple[Any, Any]) -> None:
    """A group by its channels, a wildcard by its prefix."""
    async with client(origin, "ann", kind) as (ann, ear), client(origin, "bob", kind) as (bob, _):
        await ann.add_channel_to_channel_group().channels(["g1", "g2"]).channel_group("group").future()
        ann.subscribe().channels(["w.*"]).channel_groups("group").execute()
        await ear.connected()
        await bob.publish().channel("g2").message("by group").future()
        await bob.publish().channel("w.x").message("by wildcard").future()
        grouped = await ear.heard("message", lambda message: message.message == "by group")
        assert (grouped.channel, grouped.subscription) == ("g2", "group")
        wild = await ear.heard("message", lambda message: message.message == "by wildcard")
        assert (wild.channel, wild.subscription) == ("w.x", "w.*")


async def test_a_filter_of_the_legacy_manager_reaches_the_origin(origin: Running) -> None:
    """Only messages that fit come; the event engine drops the expression."""
    kind = (AsyncioSubscriptionManager, AsyncAiohttpRequestHandler)
    async with client(origin, "ann", kind, filter_expression="level > 4") as (ann, ear):
        ann.subscribe().channels("ch").execute()
        await ear.connected()
        for level in (1, 9):
            await ann.publish().channel("ch").message(level).meta({"level": level}).future()
        assert (await ear.heard("message")).message == 9


async def test_a_silent_client_times_out_for_the_others(origin: Running) -> None:
    """It stops without a leave; the virtual clock replaces waiting."""
    async with client(origin, "ann", presence_timeout=300) as (ann, ear):
        ann.subscribe().channels("ch").with_presence().execute()
        await ear.connected()
        async with client(origin, "bob", enable_presence_heartbeat=False) as (bob, bobs_ear):
            bob.subscribe().channels("ch").execute()
            await bobs_ear.connected()
            await ear.heard("presence", is_event("join", "bob"))
            origin.origin.move(origin.origin.clock.now + 25)
            gone = await ear.heard("presence", is_event("timeout", "bob"))
            assert gone.occupancy == 1


async def test_many_occupants_are_announced_in_intervals(origin: Running) -> None:
    """Above three occupants: join arrays, then leave arrays."""
    async with client(origin, "watcher") as (watcher, ear):
        watcher.subscribe().channels("ch").with_presence().execute()
        await ear.connected()
        async with (
            client(origin, "u1") as (one, _),
            client(origin, "u2") as (two, _),
            client(origin, "u3") as (last, _),
        ):
            for pubnub in (one, two, last):
                pubnub.subscribe().channels("ch").execute()
            interval = await ear.heard("presence", lambda seen: seen.event == "interval" and bool(seen.join))
            assert interval.occupancy == 4
            assert len(interval.join) == 1
        left = await ear.heard("presence", lambda seen: seen.event == "interval" and bool(seen.leave))
        assert left.occupancy == 1


async def test_the_sync_client_meets_talks_and_parts(origin: Running) -> None:
    """Its calls in a thread, its listener in another."""
    ann, bob = PubNub(configuration(origin, "ann")), PubNub(configuration(origin, "bob"))
    ear = MessageListener()
    ann.add_listener(ear)
    assert isinstance(ann._subscription_manager, NativeSubscriptionManager)
    ann.subscribe().channels("ch").with_presence().execute()
    await ear.connected()
    bob.subscribe().channels("ch").execute()
    await ear.heard("presence", is_event("join", "bob"))
    await asyncio.to_thread(lambda: bob.publish().channel("ch").message({"x": 1}).sync())
    assert (await ear.heard("message")).message == {"x": 1}
    await asyncio.to_thread(lambda: bob.signal().channel("ch").message("s").sync())
    assert (await ear.heard("signal")).message == "s"
    here = await asyncio.to_thread(
        lambda: ann.here_now().channels(["ch", "other"]).include_uuids(True).sync()
    )
    assert here.result.total_occupancy == 2
    time = await asyncio.to_thread(lambda: ann.time().sync())
    assert int(time.result) > 10**16
    bob.unsubscribe_all()
    await ear.heard("presence", is_event("leave", "bob"))
    await asyncio.to_thread(bob.stop)
    await asyncio.to_thread(ann.stop)
