"""The pipeline on a Valkey Cluster of three primaries and three replicas; one primary dies."""

from __future__ import annotations

from pathlib import Path

import redis.asyncio as redis

from chaos.valkey_cluster import running
from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, api, options, until
from tests.e2e.bridge.test_owners import owner, until_flagged


async def test_friends_are_notified_before_and_after_a_primary_dies(
    graph: Graph, servers: Servers, origin: Running, tmp_path: Path
) -> None:
    """Bob's partition moves to the replica of its server; his leave is processed, and every shard is reconciled."""
    async with running(tmp_path) as cluster:
        settings = Settings(**(options(servers, origin) | {"redis_url": cluster.url}))  # type: ignore[arg-type]
        async with api(settings) as (url, context), owner(settings) as (bridge, _):
            world = World(graph, origin, settings, url, context)
            await world.create_friends("ann", "bob")
            await until(lambda: len(bridge.leases.owned) == settings.partitions)
            ann, bob = world.device("ann"), world.device("bob")
            ann.appear()
            await until_flagged(world, "ann")
            bob.appear()
            await ann.receives(lambda m: m["type"] == "friend.online")
            reconciled: set[int] = set()
            real = bridge.reconciler.ask
            bridge.reconciler.ask = lambda shards: (reconciled.update(shards), real(shards))[1]  # type: ignore[method-assign]
            key = keys.presence_log(world.shards.partition("bob"))
            async with redis.RedisCluster.from_url(cluster.url) as client:
                dying, heir = client.nodes_manager.slots_cache[client.keyslot(key)]
            cluster.kill(cluster.node(int(dying.port)))
            await cluster.promoted(cluster.node(int(heir.port)))
            cluster.start_again(cluster.node(int(dying.port)))
            await bob.leave()
            await ann.receives(lambda m: m["type"] == "friend.offline", seconds=40.0)
            await until(lambda: reconciled == set(range(settings.presence_shards)))
            for device in world.devices:
                await device.client.stop()
