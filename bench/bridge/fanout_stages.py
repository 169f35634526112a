"""Rows 8 to 10 of the walk as a process of their own: notices of the streams, coalesced, published. Prints its pid.

Knows the bridge's own parts and what they are given here in place of a graph: nobody is online, no sync is owed.
Ends with its standard input, and then prints how many events needed no message of their own.
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
from pubnub_bridge.pubnub_api.publish_client import Keyset, PublishClient
from pubnub_bridge.settings import Settings
from pubnub_bridge.store.change_history import FailedRecipient
from pubnub_bridge.store.dead_letters import DeadLetters
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.presence_log import PresenceLog

URL = "FANOUT_REDIS_URL"
"""Holds a password, so it is no argument."""
SHARDS = ShardMap()


class Nobody:
    """A graph where nobody is online."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """Nobody."""
        return {}

    async def read(self, user: str) -> SyncNotification | None:
        """No sync is owed here."""
        return None


async def _failed(some: Sequence[FailedRecipient]) -> None:
    raise RuntimeError(f"{len(some)} recipients were not reached")


async def rows(url: str, port: int, window_s: float) -> None:
    """Owns every partition, until standard input ends."""
    depth = Settings.model_fields["publish_pipeline"].default
    async with open_valkey(url) as valkey:
        inbox = InboxStreams(valkey=valkey, partition=SHARDS.partition)
        needs = Needs(
            valkey=valkey,
            shards=SHARDS,
            flags=Nobody(),
            inbox=inbox,
            log=PresenceLog(valkey=valkey, partition=SHARDS.partition),
            lookups=None,  # type: ignore[arg-type]  # nobody is looked up where nobody leaves
            now=lambda: time.time_ns() // 1_000_000,
            times=DebounceTimes(),
            pace=BatchWindow(window_s, max(30.0, window_s)),
            marks=StormThresholds(on=False),
        )
        partitions = Partitions(needs)
        pool = PublishClient(
            keyset=Keyset(origin=f"127.0.0.1:{port}", subscribe_key="demo", publish_key="demo", tls=False),
            token=lambda: None,
            pipeline_depth=depth,
        )
        dead = DeadLetters(valkey=valkey, partitions=SHARDS.partitions)
        ways = PublisherParts(pool, inbox, Nobody(), dead, lambda: None, _failed)
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
    port: Annotated[int, typer.Option(help="Of the stub.")],
    window: Annotated[float, typer.Option(help="Seconds that news waits for company.")] = 0.0,
) -> None:
    """Runs the rows."""
    on_loop(rows(os.environ[URL], port, window))


if __name__ == "__main__":
    typer.run(main)
