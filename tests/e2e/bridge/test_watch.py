"""Watching an inbox with the official SDK, and the demo's clients, against a real bridge and API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from local_stack.demo.clients import DemoConnections, LightClient
from local_stack.demo.main import SDK_CLIENTS, DemoRunner, local
from local_stack.demo.schedule import Habits, Schedule
from local_stack.origin.envelope import Event
from local_stack.origin.faults import Fault, Faults
from local_stack.origin.keyset import Keyset
from pubnub_bridge.client.api import ApiClient, Session
from pubnub_bridge.client.connection_info import ConnectionInfo
from pubnub_bridge.client.diff import Change
from pubnub_bridge.client.watcher import Numbers, Watcher
from tests.e2e.bridge.conftest import World


class RecordingScreen:
    """Records what is shown."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.latest: Numbers | None = None

    def connected(self, numbers: Numbers) -> None:
        self.lines.append(("connected",))

    def trouble(self, reason: str) -> None:
        self.lines.append(("trouble", reason))

    def change(self, change: Change, numbers: Numbers, now: float) -> None:
        self.lines.append((change.kind.value, change.user, change.name))
        self.latest = numbers

    def numbers(self, numbers: Numbers) -> None:
        self.latest = numbers


class RecordingApiClient(ApiClient):
    """Records the sessions it gets."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.sessions: list[Session] = []

    async def session(self, user: str) -> Session:
        self.sessions.append(await super().session(user))
        return self.sessions[-1]


@asynccontextmanager
async def watched(world: World, user: str) -> AsyncIterator[tuple[RecordingScreen, RecordingApiClient]]:
    """A watcher of this user's inbox, until the block ends."""
    screen = RecordingScreen()
    async with RecordingApiClient.open(
        ConnectionInfo(world.api, world.settings, world.settings.pubnub_origin)
    ) as api:
        assert isinstance(api, RecordingApiClient)
        task = asyncio.create_task(Watcher(api=api, user=user, screen=screen).run())
        try:
            yield screen, api
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=10)


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Poll until the condition is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)


def keyset(world: World) -> Keyset:
    """The origin's state."""
    return world.origin.origin.keysets["demo"]


def present_users(world: World) -> set[str]:
    """Users on any presence shard, according to the origin."""
    presence, shards = keyset(world).presence, world.shards
    channels = [shards.channel(shard) for shard in range(shards.shards)]
    return {user for channel in channels for user in presence.here(channel)}


async def test_a_watcher_sees_friends_come_and_go_by_name(strict_world: World) -> None:
    """With the token of a session, the first numbers, and the name of a friend whose friend.offline carries none."""
    world = strict_world
    await world.create_friends("ann", "bob")
    async with watched(world, "ann") as (screen, _):
        await until(lambda: ("sync", None, "") in screen.lines)
        _, session = await world.call("POST", "/v1/session", "bob")
        bob = world.device("bob")
        bob.client.set_token(session["token"])
        await world.settled("ann")
        bob.appear()
        await until(lambda: ("online", "bob", "Bob") in screen.lines)
        assert screen.latest
        assert (screen.latest.online, screen.latest.total) == (1, 1)
        await bob.leave()
        await until(lambda: ("offline", "bob", "Bob") in screen.lines)
    assert screen.lines[0] == ("connected",)


async def test_a_watcher_who_missed_messages_is_right_again(world: World) -> None:
    """Polls fail while a friend comes, and the notification is lost: the sync after the connect has the friend."""
    await world.create_friends("ann", "bob")
    async with watched(world, "ann") as (screen, _):
        await until(lambda: ("sync", None, "") in screen.lines)
        await world.settled("ann")
        faults = keyset(world).faults
        lost = losing_everything(faults, "inbox.ann")
        await world.online("bob")
        await until(lambda: any("friend.online" in text and "bob" in text for text in lost))
        assert not any("bob" in line for line in screen.lines)
        faults.rules.append(Fault(kind="status", prefix="/v2/subscribe/demo/inbox.ann", times=2))
        del faults.loses
        await until(lambda: ("online", "bob", "Bob") in screen.lines, 30.0)


def losing_everything(faults: Faults, channel: str) -> list[str]:
    """Lose every event of a channel until `loses` is deleted; returns the texts of those lost.

    All of them, since the sync of the watcher's own commit may come before or after the notification.
    """
    lost: list[str] = []

    def loses(event: Event) -> bool:
        if event.channel == channel:
            lost.append(event.text)
        return event.channel == channel

    faults.loses = loses  # type: ignore[method-assign]
    return lost


async def test_a_foreign_message_is_reported_and_does_no_harm(world: World) -> None:
    """Later messages are shown."""
    await world.create_friends("ann", "bob")
    async with watched(world, "ann") as (screen, _):
        await until(lambda: ("sync", None, "") in screen.lines)
        await world.settled("ann")
        sender = world.device("sender").client
        for body in (17, {"type": "friend.online"}, {"type": "friends.sync", "ts": "x", "payload": {}}):
            await sender.publish().channel("inbox.ann").message(body).future()
        await until(lambda: sum(line[0] == "trouble" for line in screen.lines) == 3)
        await world.online("bob")
        await until(lambda: ("online", "bob", "Bob") in screen.lines)


async def test_a_watcher_whose_token_is_revoked_requests_another(strict_world: World) -> None:
    world = strict_world
    await world.create_friends("ann")
    async with watched(world, "ann") as (screen, api):
        await until(lambda: ("sync", None, "") in screen.lines)
        origin = keyset(world)
        origin.access.revoke(str(api.sessions[0].token), origin.secret_key, origin.clock.now)
        await until(lambda: len(api.sessions) > 1, 30.0)
        count = screen.lines.count(("connected",))
        await until(lambda: screen.lines.count(("connected",)) > count, 30.0)


async def test_a_demo_crowd_is_present_and_all_leave_at_the_end(strict_world: World) -> None:
    """Some use the official SDK, the others a loop of this project; each has its own token."""
    world = strict_world
    people = [f"p{number}" for number in range(SDK_CLIENTS + 4)]
    await world.create_friends(*people)
    schedule = Schedule(users=people, habits=Habits(share=1.0, median=900.0), rng=random.Random(1))
    async with (
        ApiClient.open(ConnectionInfo(world.api, world.settings, "")) as api,
        aiohttp.ClientSession() as http,
    ):
        connections = DemoConnections(http, api)
        task = asyncio.create_task(DemoRunner(schedule, connections).run())
        await until(lambda: present_users(world) == set(people))
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert present_users(world) == set()
        assert connections.counted["errors"] == 0


async def test_a_light_client_sends_heartbeats_and_can_vanish(world: World) -> None:
    """A heartbeat postpones the timeout; without a leave PubNub still reports the user as present."""
    await world.create_friends("ann")
    async with (
        ApiClient.open(ConnectionInfo(world.api, world.settings, "")) as api,
        aiohttp.ClientSession() as http,
    ):
        connections = DemoConnections(http, api)
        ann = LightClient(connections, "ann")
        task = asyncio.create_task(ann.run())
        await until(lambda: present_users(world) == {"ann"})
        await ann.send_heartbeat()
        assert ann.heartbeat_at > time.monotonic()
        ann.sends_leave = False
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert present_users(world) == {"ann"}
        assert connections.counted["errors"] == 0


def test_the_demo_plays_on_local_origins_only() -> None:
    """Never on a real account."""
    assert all(local(origin) for origin in ("127.0.0.1:8090", "localhost", "localhost:80", "[::1]:80"))
    assert not any(local(origin) for origin in ("ps.pndsn.com", "ps.pndsn.com:443", "127.0.0.1.example.com"))
