"""A storm on real databases: two hundred users of one shard drop and return, through the origin."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator

import aiohttp
import pytest
from prometheus_client import REGISTRY

from graph_service.graph.driver import Graph
from graph_service.model.sharding import ShardMap
from local_stack.origin.app import Options, Running, start
from local_stack.origin.settings import KeysetSettings, PresenceSettings
from pubnub_bridge.store.health import Health
from tests.conftest import Servers
from tests.e2e.bridge.conftest import Device, World, eventually, running_world, until

CROWD, SHARD = 200, 3
LEAVES, CAP = 2.0, 60.0
"""Seconds for which leaves are debounced, otherwise and in a storm."""
OPTIONS: dict[str, object] = {
    "debounce_leave_seconds": LEAVES,
    "storm_min_users": 50,
    "storm_debounce_seconds": CAP,
}


@pytest.fixture
async def loud_origin() -> AsyncIterator[Running]:
    """An origin that announces every join and leave, however many users are present."""
    keyset = KeysetSettings(presence=PresenceSettings(announce_max=10_000))
    running = await start(Options("127.0.0.1", 0, "demo", "demo", "sec", keyset, True, None))
    yield running
    await running.close()


def ids_of(shards: ShardMap, shard: int) -> Iterator[str]:
    """Ids of one shard, without end."""
    return (user for number in itertools.count() if shards.shard(user := f"p{number}") == shard)


async def say(world: World, what: str, users: Collection[str]) -> None:
    """Every user's heartbeat, which makes present, or leave."""
    channel = world.shards.channel(SHARD)
    base = f"http://{world.origin.host}:{world.origin.port}/v2/presence/sub-key/demo/channel/{channel}/{what}"

    async def one(session: aiohttp.ClientSession, user: str) -> None:
        async with session.get(base, params={"uuid": user, "heartbeat": "300"}) as reply:
            assert reply.status == 200

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session, user) for user in users))


async def befriended(world: World, watcher: str, users: Collection[str]) -> None:
    """The watcher, with each of these users as a friend."""
    await world.create_friends(watcher)
    await world.graph.statement(
        "UNWIND $ids AS id MERGE (u:User {id: id}) SET u.name = id "
        "WITH u MATCH (w:User {id: $watcher}) MERGE (u)-[:FRIEND]->(w)",
        ids=list(users),
        watcher=watcher,
    )


def received(watching: Device, kind: str) -> list[str]:
    """The users of these events at the watcher, in order."""
    return [event["payload"]["userId"] for event in watching.events() if event["type"] == kind]


async def flagged(world: World) -> int:
    """The number of users flagged online."""
    return len(await world.context.flags.online_in_shards(range(world.shards.shards)))


async def calm(world: World) -> bool:
    """There is no storm, and health reports none."""
    health = Health(
        valkey=world.context.backends.valkey, partitions=world.settings.partitions, valid_for_seconds=10
    )
    return not REGISTRY.get_sample_value("friends_storm") and await health.late() is None


async def degraded(world: World) -> bool:
    """Health reports that presence is unknown, and why."""
    health = Health(
        valkey=world.context.backends.valkey, partitions=world.settings.partitions, valid_for_seconds=10
    )
    return "left within" in str(await health.late())


async def test_of_a_shard_that_drops_and_returns_friends_are_notified_only_of_users_who_stay_away(
    graph: Graph, servers: Servers, loud_origin: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 200 are gone for longer than the debounce time; one stays away, and is announced once, within the cap."""
    monkeypatch.setattr("pubnub_bridge.runtime.bridge.STORM_DETECTION_SECONDS", 3.0)
    monkeypatch.setattr("pubnub_bridge.runtime.bridge.STORM_BATCH_WINDOW_SECONDS", 0.3)
    async with running_world(graph, servers, loud_origin, OPTIONS) as world:
        users = list(itertools.islice(ids_of(world.shards, SHARD), CROWD))
        watcher, gone = next(ids_of(world.shards, SHARD + 1)), users[7]
        await befriended(world, watcher, users)
        (watching,) = await world.online(watcher)
        await say(world, "heartbeat", users)
        await eventually(lambda: _is(flagged(world), CROWD + 1))
        await until(lambda: len(received(watching, "friend.online")) == CROWD, 40.0)
        await eventually(lambda: calm(world), 40.0)
        left = time.monotonic()

        await say(world, "leave", users)
        await eventually(lambda: degraded(world))
        await asyncio.sleep(LEAVES)
        await say(world, "heartbeat", [one for one in users if one != gone])
        await watching.receives(lambda m: m["type"] == "friend.offline", seconds=40.0)
        assert time.monotonic() - left < CAP
        await eventually(lambda: _is(flagged(world), CROWD))
        await eventually(lambda: calm(world), 40.0)

        assert received(watching, "friend.offline") == [gone]
        assert len(received(watching, "friend.online")) == CROWD


async def _is(count: Awaitable[int], wanted: int) -> bool:
    return await count == wanted
