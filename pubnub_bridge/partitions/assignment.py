"""Assignment: what happens when a partition is assigned to this process or revoked from it.

Invariants: a take-over reads both streams from their first entries, and what the presence log holds at that moment is
redelivered, since the last owner may have committed it and not announced it; nothing is committed before the first
poll of the partition has answered, or `FIRST_POLL_TIMEOUT_MILLISECONDS` have passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Protocol

from graph_service.concurrency import cancellation
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import FIRST, Valkey
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.publisher import PartitionOutbox
from pubnub_bridge.partitions.consumer import Consumer
from pubnub_bridge.partitions.registry import PartitionRegistry
from pubnub_bridge.partitions.storm_controller import StormController
from pubnub_bridge.store import keys

FIRST_POLL_TIMEOUT_MILLISECONDS = 2000


class OnlineRead(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that a take-over needs."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """Who is flagged online, with the time of the flag."""


class Assignment:
    """Takes partitions over, and gives them up; a `PartitionOwner` of `Leases`."""

    def __init__(
        self,
        *,
        registry: PartitionRegistry,
        consumer: Consumer,
        storms: StormController,
        valkey: Valkey,
        flags: OnlineRead,
        shards: ShardMap,
        times: DebounceTimes,
        window: BatchWindow,
        subscribe: Callable[[int], Coroutine[None, None, None]],
        on_assigned: Callable[[int], None],
        now: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._consumer = consumer
        self._storms = storms
        self._valkey = valkey
        self._flags = flags
        self._shards = shards
        self._times = times
        self._window = window
        self._subscribe = subscribe
        self._on_assigned = on_assigned
        self._now = now
        self._subscribers: dict[int, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def assigned(self, partition: int) -> None:
        """Take a partition over: its flags, then all that its presence log holds, then what comes."""
        debouncer = Debouncer(times=self._times)
        debouncer.load(await self._flags.online_in_shards(list(self._shards.shards_of(partition))))
        debouncer.begin_at(self._now() + FIRST_POLL_TIMEOUT_MILLISECONDS)
        key, position = keys.presence_log(partition), FIRST
        while entries := (await self._valkey.read({key: position})).get(key):
            for entry, body in entries:
                self._consumer.debounce(debouncer, entry, body, redelivered=True)
            position = entries[-1][0]
        self._storms.extend(partition, debouncer)
        self._registry.add(partition, debouncer, PartitionOutbox(partition=partition, window=self._window))
        self._consumer.begin({key: position, keys.inbox(partition): FIRST})
        task = asyncio.create_task(self._subscribe(partition), name=f"subscribe-{partition}")
        task.add_done_callback(self._ended)
        self._subscribers[partition] = task
        self._on_assigned(partition)

    def revoked(self, partition: int) -> None:
        """Give a partition up; what is not done stays in its streams."""
        if subscriber := self._subscribers.pop(partition, None):
            subscriber.cancel()
        self._registry.remove(partition)
        self._consumer.end(partition)

    async def run(self) -> None:
        """Never returns; raises what ended a partition's subscribe loop."""
        await self._failed

    async def stop_subscribing(self) -> None:
        """End the subscribe loops; what they appended stays."""
        subscribers = list(self._subscribers.values())
        self._subscribers.clear()
        await cancellation.cancel_and_wait(subscribers)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)
