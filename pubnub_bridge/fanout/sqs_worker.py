"""SQS worker: batch and publish over SQS; the process that receives a partition's entries publishes them, owner or not.

The same `PartitionOutbox` and `Publisher` as over streams. Knows a queue that hands out entries; opens nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from graph_service.valkey.failures import retry_queue
from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.fanout.publisher import PartitionOutbox, Publisher
from pubnub_bridge.fanout.sqs_queue import WAIT_SECONDS, Received

MAX_PENDING_INBOXES = 50_000
"""Inboxes with a pending batch in memory; the rest stays in the queue."""
BUSY_WAIT_SECONDS = 1
"""How long one read waits while entries are in progress."""
PAUSE_SECONDS = 0.1
"""Between two looks while nothing more is wanted."""


class Source(Protocol):
    """What hands out entries."""

    async def receive(self, wait: int) -> list[Received]:
        """The next ones, after at most so many seconds. Raises QueueUnavailable."""


class SqsWorker:
    """Publishes what it receives; its publisher deletes it from the queue when that is done."""

    def __init__(
        self,
        *,
        outboxes: Mapping[int, PartitionOutbox],
        wakeup: asyncio.Event,
        publisher: Publisher,
        windows: BatchWindowController,
    ) -> None:
        self.outboxes = outboxes
        self.publisher = publisher
        self._wakeup = wakeup
        self._windows = windows
        self.stopping = False
        """Nothing more is received."""

    def take(self, received: Sequence[Received]) -> None:
        """Entries to be published."""
        self._windows.update()
        now = time.monotonic()
        some: dict[int, list[tuple[str, bytes]]] = {}
        for one in received:
            some.setdefault(one.partition, []).append((one.id, one.body))
        for partition, entries in some.items():
            self.outboxes[partition].add(entries, now, self._windows.seconds)
        self._wakeup.set()

    async def run(self, source: Source) -> None:
        """Receive and publish without end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.publisher.run(), name="publish from SQS")
            group.create_task(self._receive(source), name="receive from SQS")

    async def drained(self, seconds: float) -> None:
        """Publish what was received, for so long at most; the rest is received again, by any process."""
        self.stopping = True
        await self.publisher.drained(seconds)
        await self.publisher.clean_up()

    async def _receive(self, source: Source) -> None:
        while True:
            if self.stopping or self.publisher.stopped or self._pending_inboxes > MAX_PENDING_INBOXES:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            # SQS keeps back a partition whose entries are in progress, until a read that begins after their end.
            busy = any(outbox.oldest for outbox in self.outboxes.values())
            receive = partial(source.receive, BUSY_WAIT_SECONDS if busy else WAIT_SECONDS)
            self.take(await retry_queue(receive, event="sqs.receive"))

    @property
    def _pending_inboxes(self) -> int:
        return sum(len(outbox.batcher) for outbox in self.outboxes.values())
