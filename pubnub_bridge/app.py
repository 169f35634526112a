"""Composition: opens everything in order, runs the named tasks, closes in reverse. Decides nothing itself."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import structlog

from graph_service import neo4j
from graph_service.flags import Flags
from graph_service.shard import ShardMap
from graph_service.valkey import Valkey
from pubnub_bridge.clock import Clock
from pubnub_bridge.coalesce import Pace
from pubnub_bridge.hold import HoldTimes
from pubnub_bridge.inbox import Inbox
from pubnub_bridge.log import Log
from pubnub_bridge.partitions import Partitions
from pubnub_bridge.pool import Keyset, Pool
from pubnub_bridge.publish import Limits, Publish
from pubnub_bridge.settings import Settings
from pubnub_bridge.settle import Settle
from pubnub_bridge.subscriber import Subscriber
from pubnub_bridge.sync import Syncs

_log = structlog.get_logger(__name__)


def keyset(settings: Settings) -> Keyset:
    """Where and as whom PubNub is called."""
    return Keyset(
        settings.pubnub_origin,
        settings.pubnub_subscribe_key,
        settings.pubnub_publish_key,
        settings.pubnub_tls,
        settings.pubnub_user,
    )


async def run(settings: Settings) -> int:
    """The bridge of one process, until it is cancelled."""
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(neo4j.connect(settings))
        valkey = await stack.enter_async_context(Valkey.open(settings.redis_url.get_secret_value()))
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        shards = ShardMap(settings.partitions, settings.presence_shards, settings.presence_shard_levels)
        flags = Flags(graph)
        log, inbox = Log(valkey, shards.partition), Inbox(valkey, shards.partition)
        keys, clock = keyset(settings), Clock()
        await clock.set(session, keys)
        partitions = Partitions(valkey, shards, flags, inbox)
        partitions.times = hold_times(settings)
        partitions.pace = Pace(settings.coalesce_shortest, settings.coalesce_longest)
        settle = partitions.settle = Settle(flags, log, inbox, partitions.holds, clock.now)
        pool = Pool(session, keys, lambda: None)
        publish = partitions.publish = Publish(partitions.outbounds, pool, inbox, Syncs(flags))
        publish.limits = Limits(settings.publish_in_flight)
        subscriber = Subscriber(session, keys, shards, log, clock.now)
        for partition in range(settings.partitions):
            await partitions.take_over(partition)
        async with asyncio.TaskGroup() as group:
            group.create_task(partitions.run(), name="read")
            group.create_task(settle.run(), name="settle")
            group.create_task(publish.run(), name="publish")
            for partition in range(settings.partitions):
                group.create_task(subscriber.run(partition), name=f"subscribe-{partition}")
    return 0


def hold_times(settings: Settings) -> HoldTimes:
    """The holds in milliseconds."""
    return HoldTimes(
        int(settings.hold_online * 1000),
        int(settings.hold_leave * 1000),
        int(settings.hold_timeout * 1000),
    )
