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

from graph_service.model.sharding import ShardMap
from graph_service.server import on_loop
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.debounce.debouncer import DebounceTimes
from pubnub_bridge.debounce.storm_detector import StormThresholds
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.publisher import Publisher, PublisherParts, PublishLimits
from pubnub_bridge.model.notification import SyncNotification
from pubnub_bridge.partitions.consumer import Needs, Partitions
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
        inbox = InboxStreams(valkey, SHARDS.partition)
        needs = Needs(
            valkey=valkey,
            shards=SHARDS,
            flags=EmptyGraph(),
            inbox=inbox,
            log=PresenceLog(valkey, SHARDS.partition),
            lookups=None,  # type: ignore[arg-type]  # nobody is looked up where nobody leaves
            now=lambda: time.time_ns() // 1_000_000,
            times=DebounceTimes(),
            pace=BatchWindow(window_s, max(30.0, window_s)),
            marks=StormThresholds(on=False),
        )
        partitions = Partitions(needs)
        pool = PublishClient(Keyset(f"127.0.0.1:{port}", "demo", "demo", False), lambda: None, depth)
        dead = DeadLetters(valkey, SHARDS.partitions)
        ways = PublisherParts(pool, inbox, EmptyGraph(), dead, lambda: None, _failed)
        publish = Publisher(partitions.outboxes, ways, PublishLimits())
        partitions.letters_woken = publish.woken.set
        for number in range(SHARDS.partitions):
            await partitions.take_over(number)
        tasks = [asyncio.create_task(one) for one in (partitions.run(), publish.run())]
        print(os.getpid(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        print(sum(out.batcher.saved for out in partitions.outboxes.values()), flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pool.connections.close()


def main(
    port: Annotated[int, typer.Option(help="Port of the stub.")],
    window: Annotated[float, typer.Option(help="Batch window in seconds.")] = 0.0,
) -> None:
    """Run the stages."""
    on_loop(run_stages(os.environ[URL], port, window))


if __name__ == "__main__":
    typer.run(main)
