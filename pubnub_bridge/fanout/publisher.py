"""Publisher: sends the batches of all outboxes to PubNub; what fails is appended again, then entries are deleted.

Durable: a batch is a view of stream entries, which are deleted only once their messages are accepted by PubNub,
dead-lettered, or appended to the stream again. At most `PublishLimits.in_flight` batches are in flight; the others
stay in the batchers, so more is merged by itself while PubNub is slow. Invariants: nothing is dropped but what
PubNub rejects as invalid, and that is a dead letter; while the circuit is open only a probe goes out; friendship
events are never given up, presence becomes a pending resync after `PublishLimits.tries` times in the stream.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog
from aiolimiter import AsyncLimiter

from graph_service import tracing
from graph_service.concurrency.wait import wait_or_timeout
from graph_service.errors import FriendsError
from graph_service.valkey.failures import retry_queue
from pubnub_bridge import metrics
from pubnub_bridge.fanout.batcher import Batcher, BatchWindow, PendingBatch
from pubnub_bridge.fanout.circuit_breaker import CircuitBreaker
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import Notification, SyncNotification, decode
from pubnub_bridge.model.round_robin import RoundRobin
from pubnub_bridge.pubnub_api.publish_client import Outcome, Post, PublishResult
from pubnub_bridge.store import event_trace
from pubnub_bridge.store.change_history import FailedRecipient
from pubnub_bridge.store.inbox_streams import InboxStreams

FORGET_SECONDS = 60.0
"""After which it does not matter any more when an inbox was last published to."""
CLEAN_UP_INTERVAL_SECONDS = 0.1
"""Between two looks for stream entries that are done."""
MAX_REST_SECONDS = 1.0
"""Between two looks for batches that are due."""
MIN_ATTEMPT_BACKOFF_SECONDS, MAX_ATTEMPT_BACKOFF_SECONDS = 0.05, 0.2
"""After the first attempt, at random in between; doubled after each."""
CIRCUIT_POLL_SECONDS = 0.1
SYNC_BACKOFF_SECONDS = 1.0
"""Before a batch whose sync could not be read is appended again."""
_PUBLISHED = {outcome: metrics.PUBLISHED.labels(outcome.name.lower()) for outcome in Outcome}
PUBLISH_MAX_ATTEMPTS = 5
"""Times that a batch goes through the stream before its inbox gets a pending resync instead."""
_log = structlog.get_logger(__name__)


class SyncRead(Protocol):
    """What reads syncs when they are sent."""

    async def read(self, user: str) -> SyncNotification | None:
        """The friends.sync of a user; None for an unknown one."""


class DeadLetterStore(Protocol):
    """What stores messages that PubNub rejects."""

    async def add_message(self, partition: int, inbox: str, body: bytes, reason: str) -> None:
        """Store one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishLimits:
    """How many publishes at once, and how often each is tried."""

    in_flight: int = 100
    """Batches in flight at once."""
    quick_tries: int = 3
    """Attempts before a batch is appended to the stream again."""
    tries: int = PUBLISH_MAX_ATTEMPTS
    """Times in the stream after which presence becomes a pending resync."""
    per_second: int = 0
    """Publishes a second; 0 for no limit."""


class PartitionOutbox:
    """One partition's batches and the stream entries they come from."""

    def __init__(self, *, partition: int, window: BatchWindow) -> None:
        self.partition = partition
        self.batcher = Batcher(window=window)
        self._coalesced = 0
        self._entries: dict[int, list[str]] = {}

    def add(self, entries: Sequence[tuple[str, bytes]], now: float, window: float) -> None:
        """Take entries of the inbox stream."""
        notifications = [one for _, body in entries for one in decode(body)]
        generation = self.batcher.add(notifications, now, window)
        self._entries[generation] = [entry for entry, _ in entries]

    @property
    def oldest(self) -> str | None:
        """The oldest entry that is not done."""
        return next((entries[0] for entries in self._entries.values() if entries), None)

    def finished(self) -> list[str]:
        """Entries to be deleted, each returned once."""
        metrics.COALESCED.inc(self.batcher.coalesced - self._coalesced)
        self._coalesced = self.batcher.coalesced
        return [entry for generation in self.batcher.finished() for entry in self._entries.pop(generation)]


class Publisher:
    """Publishes the batches of all outboxes; workers take them from a queue, so each inbox keeps its order."""

    def __init__(
        self,
        *,
        outboxes: Mapping[int, PartitionOutbox],
        wakeup: asyncio.Event,
        client: Post,
        inbox: InboxStreams,
        syncs: SyncRead,
        dead_letters: DeadLetterStore,
        on_denied: Callable[[], None],
        add_failed: Callable[[Sequence[FailedRecipient]], Awaitable[None]],
        limits: PublishLimits,
        max_syncs: Callable[[], int],
    ) -> None:
        self._outboxes = outboxes
        self._wakeup = wakeup
        self._client = client
        self._inbox = inbox
        self._syncs = syncs
        self._dead_letters = dead_letters
        self._on_denied = on_denied
        self._add_failed = add_failed
        self._max_syncs = max_syncs
        self.limits = limits
        self.circuit = CircuitBreaker()
        self._free = limits.in_flight
        self._syncs_in_flight = 0
        self._turns = RoundRobin()
        self._queue: asyncio.Queue[tuple[PartitionOutbox, PendingBatch]] = asyncio.Queue()
        self._limiter = AsyncLimiter(limits.per_second, 1.0) if limits.per_second else None
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Publish without end."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.limits.in_flight):
                group.create_task(self._work(), name=f"publish-{number}")
            group.create_task(self._dispatch(), name="publish-dispatch")
            group.create_task(self._clean(), name="publish-clean")

    @property
    def stopped(self) -> bool:
        """Whether nothing more is wanted from the streams: the circuit is open, and there is a batch to probe with."""
        pending = self._in_flight or any(len(outbox.batcher) for outbox in self._outboxes.values())
        return self.circuit.is_open and bool(pending)

    async def drained(self, seconds: float) -> None:
        """Take no more batches, and wait for those in flight, for so long at most."""
        self._stopping = True
        await wait_or_timeout(self._idle, seconds=seconds)

    async def clean_up(self) -> None:
        """Delete entries of which everything is published or appended again."""
        entries = {number: done for number, out in self._outboxes.items() if (done := out.finished())}
        if entries:
            await retry_queue(partial(self._inbox.delete, entries), event="publish.delete_entries")

    async def _dispatch(self) -> None:
        while True:
            self._wakeup.clear()
            if not self._take(time.monotonic(), self._room()):
                await self._rest()

    @property
    def _in_flight(self) -> int:
        return self.limits.in_flight - self._free

    def _room(self) -> int:
        """How many batches may go out now."""
        if self._stopping:
            return 0
        # Through an open circuit one may, if none is in flight: without any nothing would probe.
        return self._free if not self.circuit.is_open else int(not self._in_flight)

    def _take(self, now: float, room: int) -> int:
        taken = 0
        for number in self._turns.order(self._outboxes):
            if taken >= room:
                break
            outbox = self._outboxes[number]
            batches = outbox.batcher.take(now, room - taken, self._max_syncs() - self._syncs_in_flight)
            self._free -= len(batches)
            self._syncs_in_flight += sum(batch.needs_sync for batch in batches)
            taken += len(batches)
            if batches:
                self._turns.served(number)
                self._idle.clear()
            for batch in batches:
                self._queue.put_nowait((outbox, batch))
        return taken

    async def _rest(self) -> None:
        """Until a batch is due and a worker is free."""
        seconds = MAX_REST_SECONDS
        if self._free > 0 and not self.circuit.is_open:
            seconds = min([seconds, *(due - time.monotonic() for due in due_times(self._outboxes.values()))])
        # At least one turn of the loop, also where a batch is due that cannot be taken.
        await asyncio.sleep(0)
        await wait_or_timeout(self._wakeup, seconds=seconds)

    async def _work(self) -> None:
        while True:
            outbox, batch = await self._queue.get()
            with tracing.span("publish", event_ids=event_trace.span_ids(batch.events)):
                failed = await self._deliver(outbox.partition, batch)
            if failed:
                await retry_queue(
                    partial(self._inbox.requeue, outbox.partition, failed),
                    event="publish.requeue",
                )
            elif event := next(iter(batch.presence.values()), None):
                metrics.DELAY.observe(max(0.0, time.time() - event.ts / 1e6))
            outbox.batcher.done(batch, time.monotonic())
            # The same as when it was taken: in flight, nothing is added to a batch.
            self._syncs_in_flight -= batch.needs_sync
            self._free += 1
            if not self._in_flight:
                self._idle.set()
            self._wakeup.set()

    async def _deliver(self, partition: int, batch: PendingBatch) -> list[Notification | SyncNotification]:
        """Publish a batch in order; returns what must be appended to the stream again."""
        sync, failed = batch.sync, []
        if sync is not None and sync.friends is None:
            sync = await self._read(sync)
            if sync is not None and sync.friends is None:
                failed.append(sync)
                sync = None
        for body in bodies(batch, sync):
            if not await self._published(partition, batch.inbox, body):
                event_trace.published(batch.inbox, batch.events, sent=False)
                await self._record_given_up(batch)
                # The batch as a whole, whatever of it was sent: receivers drop repeats.
                return failed + batch.to_requeue(self.limits.tries)
        event_trace.published(batch.inbox, batch.events, sent=True)
        return list(failed)

    async def _record_given_up(self, batch: PendingBatch) -> None:
        """After the last try the inbox gets a sync instead of the presence in the batch."""
        if batch.tries >= self.limits.tries:
            reason = f"not accepted in {batch.tries} tries; a sync is pending"
            lost = [
                FailedRecipient(user=event.user, event_id=event.event_id, inbox=batch.inbox, reason=reason)
                for event in batch.events()
                if event.is_presence
            ]
            await self._record_failed(lost)

    async def _read(self, sync: SyncNotification) -> SyncNotification | None:
        """The sync as read, the same unread one while the graph is away, or None for an unknown user."""
        try:
            return await self._syncs.read(sync.user)
        except FriendsError as error:
            _log.warning("publish.read_sync.failed", user=sync.user, reason=str(error))
            await asyncio.sleep(SYNC_BACKOFF_SECONDS)
            return sync

    async def _published(self, partition: int, inbox: str, body: bytes) -> bool:
        """True where the message is done with: sent, or a dead letter."""
        for attempt in range(self.limits.quick_tries):
            await self._circuit_closed()
            if self._limiter:
                await self._limiter.acquire()
            result = await self._client.post(f"inbox.{inbox}", body)
            _PUBLISHED[result.outcome].inc()
            if result.outcome is Outcome.SENT:
                self._succeeded()
                return True
            if result.outcome is Outcome.REFUSED:
                await self._add_dead_letter(partition, inbox, body, result)
                return True
            self._failed(result)
            # After the last attempt too: what is appended again at once would come back at once.
            backoff = random.uniform(MIN_ATTEMPT_BACKOFF_SECONDS, MAX_ATTEMPT_BACKOFF_SECONDS) * 2**attempt
            await asyncio.sleep(max(result.retry_after, backoff))
        return False

    def _succeeded(self) -> None:
        if self.circuit.succeeded():
            metrics.CIRCUIT_OPEN.set(0)
            _log.info("publish.circuit.closed")
            self._wakeup.set()

    def _failed(self, result: PublishResult) -> None:
        """Only silence and server errors count against the origin: a rate limit is a response."""
        if result.outcome is Outcome.DENIED:
            metrics.DENIED.labels("publish").inc()
            _log.error("publish.message.denied", reason=result.reason)
            self._on_denied()
        elif not result.rate_limited and self.circuit.failed(time.monotonic()):
            metrics.CIRCUIT_OPEN.set(1)
            _log.error("publish.circuit.opened", reason=result.reason)

    async def _circuit_closed(self) -> None:
        # The probe goes through the open circuit: without a probe it would never close.
        while self.circuit.is_open and not self.circuit.may_probe(time.monotonic()):  # noqa: ASYNC110 - time opens it
            await asyncio.sleep(CIRCUIT_POLL_SECONDS)

    async def _add_dead_letter(self, partition: int, inbox: str, body: bytes, result: PublishResult) -> None:
        events = encoding.unpack_events(body)
        ids = [event["eventId"] for event in events]
        _log.error(
            "publish.message.rejected", inbox=inbox, bytes=len(body), reason=result.reason, event_ids=ids
        )
        await self._record_failed(
            [
                FailedRecipient(
                    user=event["payload"]["userId"],
                    event_id=event["eventId"],
                    inbox=inbox,
                    reason=result.reason,
                )
                for event in events
                if event["type"] in {"friend.online", "friend.offline"}
            ]
        )
        # Dead-lettered first, then resolved: the entry may go only once the message is stored elsewhere.
        add = partial(self._dead_letters.add_message, partition, inbox, body, result.reason)
        await retry_queue(add, event="publish.dead_letter")

    async def _record_failed(self, recipients: Sequence[FailedRecipient]) -> None:
        """Tried once: it explains, and decides nothing."""
        try:
            await self._add_failed(recipients)
        except FriendsError as error:
            _log.warning("publish.record_failed.failed", reason=str(error), recipients=len(recipients))

    async def _clean(self) -> None:
        forgot = time.monotonic()
        while True:
            await asyncio.sleep(CLEAN_UP_INTERVAL_SECONDS)
            await self.clean_up()
            if time.monotonic() - forgot > FORGET_SECONDS:
                forgot = time.monotonic()
                for outbox in self._outboxes.values():
                    outbox.batcher.forget(forgot - FORGET_SECONDS)


def due_times(outboxes: Iterable[PartitionOutbox]) -> list[float]:
    """When each of these has its next batch, of those that have any."""
    return [due for outbox in outboxes if (due := outbox.batcher.next_due()) is not None]


def bodies(batch: PendingBatch, sync: SyncNotification | None) -> list[bytes]:
    """The messages of a batch in their order: the sync in its parts, then the events."""
    events = [(event.ts, event.body) for event in batch.events()]
    parts = encoding.sync(sync.user, sync.friends or (), sync.total, sync.ts) if sync else []
    return parts + encoding.batches(batch.inbox, events) if events else parts
