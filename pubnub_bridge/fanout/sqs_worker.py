"""Rows 9 and 10 of the walk over SQS: whoever receives a partition's entries publishes them, owner or not.

The same `PartitionOutbox` and `Publisher` as over streams. Knows a queue that hands out entries; opens nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from graph_service.errors import QueueUnavailable
from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.fanout.publisher import PartitionOutbox, Publisher
from pubnub_bridge.fanout.sqs_queue import WAIT_SECONDS, Received

MAX_PENDING_INBOXES = 50_000
"""Inboxes that may wait in memory; the rest stays in the queue."""
BUSY_WAIT_SECONDS = 1
"""Seconds that one read waits while something is under way."""
_log = structlog.get_logger(__name__)


class Source(Protocol):
    """What hands out entries."""

    async def receive(self, wait: int) -> list[Received]:
        """The next ones, waited for so many seconds. Raises QueueUnavailable."""


class SqsWorker:
    """Publishes what it is handed, and deletes it from the queue of `inbox` when that is done."""

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
        """Receive and publish for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.publisher.run(), name="publish from SQS")
            group.create_task(self._receive(source), name="receive from SQS")

    async def drained(self, seconds: float) -> None:
        """What was received goes out, for so long at most; the rest comes again, to somebody else."""
        self.stopping = True
        await self.publisher.drained(seconds)
        await self.publisher.clean_up()

    async def _receive(self, source: Source) -> None:
        while True:
            if self.stopping or self.publisher.stopped or self.waiting > MAX_PENDING_INBOXES:
                await asyncio.sleep(0.1)
                continue
            try:
                # A partition whose entries are under way comes into a read that begins after their end.
                busy = any(outbox.oldest for outbox in self.outboxes.values())
                self.take(await source.receive(BUSY_WAIT_SECONDS if busy else WAIT_SECONDS))
            except QueueUnavailable as error:
                _log.warning("receiving waits", reason=str(error))
                await asyncio.sleep(1.0)

    @property
    def waiting(self) -> int:
        """Inboxes that wait in memory."""
        return sum(len(outbox.batcher) for outbox in self.outboxes.values())
