"""The stages batch and publish in their own process: inbox streams in, publishes out. Prints its process id.

Uses the bridge's own classes on an empty graph: no user is online and no resync is pending. Ends when its standard
input ends, and then prints how many events were coalesced into another event's message.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from graph_service.concurrency.cancellation import cancel_and_wait
from graph_service.model.sharding import ShardMap
from graph_service.server import on_loop
from graph_service.valkey.client import Valkey
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.debounce.debouncer import DebounceTimes
from pubnub_bridge.debounce.storm_detector import StormThresholds
from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.fanout.batcher import BATCH_WINDOW_MAX_SECONDS, BatchWindow
from pubnub_bridge.fanout.publisher import Publisher, PublishLimits
from pubnub_bridge.model.notification import SyncNotification
from pubnub_bridge.partitions.assignment import Assignment
from pubnub_bridge.partitions.conflicts import ConflictResolver
from pubnub_bridge.partitions.consumer import Consumer
from pubnub_bridge.partitions.registry import PartitionRegistry
from pubnub_bridge.partitions.storm_controller import StormController
from pubnub_bridge.pubnub_api.publish_client import MAX_PIPELINED_PUBLISHES, Keyset, PublishClient
from pubnub_bridge.store.change_history import FailedRecipient
from pubnub_bridge.store.dead_letters import DeadLetters
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.presence_log import PresenceLog

URL = "FANOUT_REDIS_URL"
"""An environment variable and not an argument, because the URL contains a password."""
SHARDS = ShardMap()


class EmptyGraph:
    """A graph where no user is online."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        return {}

    async def read(self, user: str) -> SyncNotification | None:
        """No resync is pending."""
        return None


async def _failed(some: Sequence[FailedRecipient]) -> None:
    raise RuntimeError(f"{len(some)} recipients missed a message")


async def run_stages(url: str, port: int, window_s: float) -> None:
    """Own every partition until standard input ends."""
    depth = MAX_PIPELINED_PUBLISHES
    async with open_valkey(url) as valkey:
        registry = PartitionRegistry(shards=SHARDS)
        client = PublishClient(
            keyset=Keyset(origin=f"127.0.0.1:{port}", subscribe_key="demo", publish_key="demo", tls=False),
            token=lambda: None,
            pipeline_depth=depth,
        )
        publisher = _publisher(valkey, registry, client)
        consumer, assignment = _partitions(valkey, registry, publisher, window_s)
        for number in range(SHARDS.partitions):
            await assignment.assigned(number)
        tasks = [asyncio.create_task(one) for one in (consumer.run(), publisher.run())]
        print(os.getpid(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        print(sum(out.batcher.coalesced for out in registry.outboxes.values()), flush=True)
        await cancel_and_wait(tasks)
        await assignment.stop_subscribing()
        client.connections.close()


def _publisher(valkey: Valkey, registry: PartitionRegistry, client: PublishClient) -> Publisher:
    limits = PublishLimits()
    return Publisher(
        outboxes=registry.outboxes,
        wakeup=registry.publish_wakeup,
        client=client,
        inbox=InboxStreams(valkey=valkey, partition=SHARDS.partition),
        syncs=EmptyGraph(),
        dead_letters=DeadLetters(valkey=valkey, partitions=SHARDS.partitions),
        on_denied=lambda: None,
        add_failed=_failed,
        limits=limits,
        max_syncs=lambda: limits.in_flight,
    )


def _partitions(
    valkey: Valkey, registry: PartitionRegistry, publisher: Publisher, window_s: float
) -> tuple[Consumer, Assignment]:
    log, window = (
        PresenceLog(valkey=valkey, partition=SHARDS.partition),
        BatchWindow(window_s, max(BATCH_WINDOW_MAX_SECONDS, window_s)),
    )
    storms = StormController(
        registry=registry, thresholds=StormThresholds(enabled=False), shards=SHARDS, now=_now
    )
    consumer = Consumer(
        registry=registry,
        valkey=valkey,
        inbox=InboxStreams(valkey=valkey, partition=SHARDS.partition),
        # No user is looked up where none leaves.
        conflicts=ConflictResolver(lookups=None, log=log),  # type: ignore[arg-type]
        storms=storms,
        windows=BatchWindowController(
            window=window, outboxes=registry.outboxes, wakeup=registry.publish_wakeup
        ),
        publishing_stopped=lambda: publisher.stopped,
        on_flaps=lambda _users: None,
        now=_now,
    )
    assignment = Assignment(
        registry=registry,
        consumer=consumer,
        storms=storms,
        valkey=valkey,
        flags=EmptyGraph(),
        shards=SHARDS,
        times=DebounceTimes(),
        window=window,
        subscribe=_never,
        on_assigned=lambda _partition: None,
        now=_now,
    )
    return consumer, assignment


def _now() -> int:
    return time.time_ns() // 1_000_000


async def _never(_partition: int) -> None:
    await asyncio.Event().wait()


def main(
    port: Annotated[int, typer.Option(help="Port of the stub.")],
    window: Annotated[float, typer.Option(help="Batch window in seconds.")] = 0.0,
) -> None:
    """Run the stages."""
    on_loop(run_stages(os.environ[URL], port, window))


if __name__ == "__main__":
    typer.run(main)
