"""The consumer over a real server's streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
import redis.asyncio as redis

from graph_service.concurrency import cancellation
from graph_service.errors import QueueUnavailable
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import FIRST, Valkey
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.debounce.debouncer import DebounceTimes
from pubnub_bridge.debounce.storm_detector import StormThresholds
from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.model.notification import SyncNotification, decode
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.partitions.assignment import Assignment
from pubnub_bridge.partitions.conflicts import ConflictResolver
from pubnub_bridge.partitions.consumer import Consumer
from pubnub_bridge.partitions.registry import PartitionRegistry
from pubnub_bridge.partitions.storm_controller import StormController
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.pubnub_api.sdk import Occupants
from pubnub_bridge.store import keys
from pubnub_bridge.store.inbox_streams import InboxStreams, ValkeyQueue
from pubnub_bridge.store.presence_log import PresenceLog
from tests.conftest import Servers

SHARDS = ShardMap()
ANN = SHARDS.partition("ann")


class Away(ValkeyQueue):
    """Inbox streams that are away for their first calls."""

    def __init__(self, valkey: Valkey, calls: int) -> None:
        super().__init__(valkey=valkey)
        self.calls = calls

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Raises QueueUnavailable while away."""
        self.calls -= 1
        if self.calls >= 0:
            raise QueueUnavailable(reason="away")
        await super().append(entries)


class Empty:
    """A graph without flags, and a PubNub without users."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """No flags."""
        return {}

    async def here_now(self, channel: str) -> Occupants:
        """No occupants."""
        return Occupants(occupancy=0, users=())

    async def where_now(self, user: str) -> frozenset[str]:
        """No channels."""
        return frozenset()


@pytest.fixture
async def valkey(servers: Servers) -> AsyncIterator[Valkey]:
    """Empty."""
    async with redis.Redis.from_url(servers.redis_url) as client:
        await client.flushdb()
    async with open_valkey(servers.redis_url) as opened:
        yield opened


def now() -> int:
    """PubNub's time in milliseconds."""
    return time.time_ns() // 1_000_000


async def nothing(_partition: int) -> None:
    """A subscribe loop that PubNub never answers."""
    await asyncio.Event().wait()


def partitions(valkey: Valkey, inbox: InboxStreams) -> tuple[Consumer, Assignment]:
    """Of a process that owns none yet."""
    lookups, log = (
        PresenceLookup(pubnub=Empty(), shards=SHARDS, now=now),
        PresenceLog(valkey=valkey, partition=SHARDS.partition),
    )
    registry, window = PartitionRegistry(shards=SHARDS), BatchWindow()
    storms = StormController(registry=registry, thresholds=StormThresholds(), shards=SHARDS, now=now)
    consumer = Consumer(
        registry=registry,
        valkey=valkey,
        inbox=inbox,
        conflicts=ConflictResolver(lookups=lookups, log=log),
        storms=storms,
        windows=BatchWindowController(
            window=window, outboxes=registry.outboxes, wakeup=registry.publish_wakeup
        ),
        publishing_stopped=lambda: False,
        on_flaps=lambda _users: None,
        now=now,
    )
    assignment = Assignment(
        registry=registry,
        consumer=consumer,
        storms=storms,
        valkey=valkey,
        flags=Empty(),
        shards=SHARDS,
        times=DebounceTimes(),
        window=window,
        subscribe=nothing,
        on_assigned=lambda _partition: None,
        now=now,
    )
    return consumer, assignment


async def requested(valkey: Valkey) -> list[SyncNotification]:
    """The syncs in Ann's inbox stream, once there is one."""
    async with asyncio.timeout(10):
        while not (found := await valkey.read({keys.inbox(ANN): FIRST}, block=100)):
            pass
    notices = [one for _, body in found[keys.inbox(ANN)] for one in decode(body)]
    return [one for one in notices if isinstance(one, SyncNotification)]


async def test_a_join_while_the_queue_is_away_requests_a_sync_when_it_is_back(valkey: Valkey) -> None:
    """The entry of the join is not read again."""
    away = Away(valkey, calls=2)
    consumer, assignment = partitions(
        valkey, InboxStreams(valkey=valkey, partition=SHARDS.partition, queue=away)
    )
    await assignment.assigned(ANN)
    running = asyncio.create_task(consumer.run())
    try:
        await PresenceLog(valkey=valkey, partition=SHARDS.partition).append(
            [PresenceEvent("ann", True, now(), SHARDS.shard("ann"), "join")]
        )
        assert [(one.user, one.reason) for one in await requested(valkey)] == [("ann", "join")]
        assert away.calls == -1, "once, and no more often"
    finally:
        await cancellation.cancel_and_wait([running])
        await assignment.stop_subscribing()
