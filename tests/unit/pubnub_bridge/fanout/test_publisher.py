"""Publisher: partitions take turns, and what is in flight is waited for. The origin is a stand-in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock, MagicMock

from graph_service.concurrency.cancellation import cancel_and_wait
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.publisher import PartitionOutbox, Publisher, PublishLimits
from pubnub_bridge.model.notification import SyncNotification, encode
from pubnub_bridge.pubnub_api.publish_client import SENT, PublishResult


class Posts:
    """An origin that takes everything, and remembers for whom."""

    def __init__(self, enough: int) -> None:
        self.inboxes: list[str] = []
        self.done = asyncio.Event()
        self._enough = enough

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Taken, a moment later."""
        self.inboxes.append(channel.removeprefix("inbox."))
        if len(self.inboxes) >= self._enough:
            self.done.set()
        await asyncio.sleep(0)
        return SENT


def publisher(
    outboxes: Mapping[int, PartitionOutbox], client: Any, *, in_flight: int = 1, **instead: Any
) -> Publisher:
    """Publishes these outboxes; whatever else it calls succeeds."""
    parts: dict[str, Any] = {
        "outboxes": outboxes,
        "wakeup": asyncio.Event(),
        "client": client,
        "inbox": MagicMock(delete=AsyncMock(), requeue=AsyncMock()),
        "syncs": MagicMock(),
        "dead_letters": MagicMock(add_message=AsyncMock()),
        "on_denied": lambda: None,
        "add_failed": AsyncMock(),
        "limits": PublishLimits(in_flight=in_flight),
        "max_syncs": lambda: in_flight,
    }
    return Publisher(**(parts | instead))


async def test_batches_of_every_partition_go_out_while_there_are_more_than_can() -> None:
    """With room for one publish at once, one of each partition in turn."""
    outboxes = {number: PartitionOutbox(number, BatchWindow(0.0, 0.0)) for number in range(3)}
    for number, outbox in outboxes.items():
        syncs = [SyncNotification(f"{number}-{place}", 1, 1, []) for place in range(20)]
        outbox.add([("1-0", encode(syncs))], time.monotonic(), 0.0)
    posts = Posts(enough=12)
    running = asyncio.create_task(publisher(outboxes, posts).run())
    try:
        async with asyncio.timeout(5):
            await posts.done.wait()
    finally:
        await cancel_and_wait([running])
    assert [inbox[0] for inbox in posts.inboxes[:12]] == ["0", "1", "2"] * 4
