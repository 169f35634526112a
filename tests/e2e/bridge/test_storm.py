"""A storm on real engines: two hundred people of one shard drop and return, through the origin's wire."""

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
from tests.e2e.bridge.conftest import Device, World, _world, eventually, until

CROWD, SHARD = 200, 3
LEAVES, CAP = 2.0, 60.0
"""Seconds of the hold of leaves, and of that in a storm."""
OPTIONS: dict[str, object] = {
    "debounce_leave_seconds": LEAVES,
    "storm_min_users": 50,
    "storm_detection_seconds": 3.0,
    "storm_debounce_seconds": CAP,
    "storm_batch_window_seconds": 0.3,
}


@pytest.fixture
async def loud_origin() -> AsyncIterator[Running]:
    """An origin that tells every join and leave at once, however many are there."""
    keyset = KeysetSettings(presence=PresenceSettings(announce_max=10_000))
    running = await start(Options("127.0.0.1", 0, "demo", "demo", "sec", keyset, True, None))
    yield running
    await running.close()


def ids_of(shards: ShardMap, shard: int) -> Iterator[str]:
    """Ids of one shard, without end."""
    return (user for number in itertools.count() if shards.shard(user := f"p{number}") == shard)


async def say(world: World, what: str, people: Collection[str]) -> None:
    """Everybody's heartbeat, which makes present, or leave."""
    channel = world.shards.channel(SHARD)
    base = f"http://{world.origin.host}:{world.origin.port}/v2/presence/sub-key/demo/channel/{channel}/{what}"

    async def one(session: aiohttp.ClientSession, user: str) -> None:
        async with session.get(base, params={"uuid": user, "heartbeat": "300"}) as reply:
            assert reply.status == 200

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session, user) for user in people))


async def befriended(world: World, watcher: str, people: Collection[str]) -> None:
    """The watcher and everybody's edge to the watcher."""
    await world.people(watcher)
    await world.graph.statement(
        "UNWIND $ids AS id MERGE (u:User {id: id}) SET u.name = id "
        "WITH u MATCH (w:User {id: $watcher}) MERGE (u)-[:FRIEND]->(w)",
        ids=list(people),
        watcher=watcher,
    )


def heard(eye: Device, kind: str) -> list[str]:
    """Whom the watcher was told of, in order."""
    return [event["payload"]["userId"] for event in eye.events() if event["type"] == kind]


async def flagged(world: World) -> int:
    """How many are flagged online."""
    return len(await world.context.flags.online_in_shards(range(world.shards.shards)))


async def calm(world: World) -> bool:
    """No storm is on, and nobody is told of one."""
    health = Health(
        valkey=world.context.backends.valkey, partitions=world.settings.partitions, valid_for_seconds=10
    )
    return not REGISTRY.get_sample_value("friends_storm") and await health.late() is None


async def doubt(world: World) -> bool:
    """Clients are told that presence is not known, and why."""
    health = Health(
        valkey=world.context.backends.valkey, partitions=world.settings.partitions, valid_for_seconds=10
    )
    return "left within" in str(await health.late())


async def test_of_a_shard_that_drops_and_returns_friends_hear_only_who_stays_away(
    graph: Graph, servers: Servers, loud_origin: Running
) -> None:
    """All 200 are gone for longer than the hold; one does not come back, and is told once, within the cap."""
    async with _world(graph, servers, loud_origin, OPTIONS) as world:
        people = list(itertools.islice(ids_of(world.shards, SHARD), CROWD))
        watcher, gone = next(ids_of(world.shards, SHARD + 1)), people[7]
        await befriended(world, watcher, people)
        (eye,) = await world.online(watcher)
        await say(world, "heartbeat", people)
        await eventually(lambda: _is(flagged(world), CROWD + 1))
        await until(lambda: len(heard(eye, "friend.online")) == CROWD, 40.0)
        await eventually(lambda: calm(world), 40.0)
        left = time.monotonic()

        await say(world, "leave", people)
        await eventually(lambda: doubt(world))
        await asyncio.sleep(LEAVES)
        await say(world, "heartbeat", [one for one in people if one != gone])
        await eye.hears(lambda m: m["type"] == "friend.offline", seconds=40.0)
        assert time.monotonic() - left < CAP
        await eventually(lambda: _is(flagged(world), CROWD))
        await eventually(lambda: calm(world), 40.0)

        assert heard(eye, "friend.offline") == [gone]
        assert len(heard(eye, "friend.online")) == CROWD


async def _is(answer: Awaitable[int], wanted: int) -> bool:
    return await answer == wanted
