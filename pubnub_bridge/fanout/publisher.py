"""Publishing (row 10 of the walk): letters go out, what fails is appended again, then entries are deleted.

Knows coalescers, the pool, the circuit and the streams. At most `PublishLimits.in_flight` publishes are under way; letters
wait in the coalescer for a free one, so company gathers by itself when PubNub is slow. Nothing is dropped but what
PubNub refuses for its own sake, and that is kept as a dead letter.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiolimiter import AsyncLimiter

from graph_service import tracing
from graph_service.errors import FriendsError
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
"""Seconds after which it does not matter any more when an inbox was last written to."""
CLEAN_INTERVAL_SECONDS = 0.1
"""Seconds between two looks for stream entries that are done."""
_COUNTED = {outcome: metrics.PUBLISHED.labels(outcome.name.lower()) for outcome in Outcome}
_log = structlog.get_logger(__name__)


class SyncRead(Protocol):
    """What reads syncs that are only owed."""

    async def read(self, user: str) -> SyncNotification | None:
        """The friends.sync of a user; None for an unknown one."""


class DeadLetterStore(Protocol):
    """What keeps messages that PubNub refused."""

    async def add_message(self, partition: int, inbox: str, body: bytes, reason: str) -> None:
        """Keep one."""


@dataclass(frozen=True, slots=True)
class PublisherParts:
    """What publishing leans on."""

    post: Post
    inbox: InboxStreams
    syncs: SyncRead
    dead: DeadLetterStore
    denied: Callable[[], None]
    """The server's token was not accepted."""
    failed: Callable[[Sequence[FailedRecipient]], Awaitable[None]]
    """Keeps which recipients a change did not reach, for whoever asks why."""


@dataclass(frozen=True, slots=True)
class PublishLimits:
    """How hard to push."""

    in_flight: int = 100
    """Publishes under way at once."""
    quick_tries: int = 3
    """Tries before a letter is appended to the stream again."""
    tries: int = 5
    """Times in the stream after which presence becomes an owed sync."""
    per_second: int = 0
    """Publishes a second; 0 for no limit."""


class PartitionOutbox:
    """One partition's letters and the stream entries they come from."""

    def __init__(self, partition: int, pace: BatchWindow) -> None:
        self.partition = partition
        self.batcher = Batcher(pace)
        self._saved = 0
        self._entries: dict[int, list[str]] = {}

    def add(self, entries: Sequence[tuple[str, bytes]], now: float, window: float) -> None:
        """Take entries of the inbox stream."""
        notices = [notice for _, body in entries for notice in decode(body)]
        generation = self.batcher.add(notices, now, window)
        self._entries[generation] = [entry for entry, _ in entries]

    @property
    def oldest(self) -> str | None:
        """The oldest entry that is not done."""
        return next((entries[0] for entries in self._entries.values() if entries), None)

    def finished(self) -> list[str]:
        """Entries to be deleted, each told once."""
        metrics.COALESCED.inc(self.batcher.saved - self._saved)
        self._saved = self.batcher.saved
        return [entry for generation in self.batcher.finished() for entry in self._entries.pop(generation)]


class Publisher:
    """Publishes the letters of all partitions this process owns."""

    def __init__(
        self, outboxes: Mapping[int, PartitionOutbox], ways: PublisherParts, limits: PublishLimits
    ) -> None:
        self._outbounds = outboxes
        self._ways = ways
        self.limits = limits
        self.circuit = CircuitBreaker()
        self.woken = asyncio.Event()
        """Set it when there are new letters."""
        self._free = limits.in_flight
        self.admitted: Callable[[], int] = lambda: limits.in_flight
        """How many letters under way may owe a sync, which the graph must be asked for."""
        self._owing = 0
        self._turns = RoundRobin()
        self._queue: asyncio.Queue[tuple[PartitionOutbox, PendingBatch]] = asyncio.Queue()
        self._limiter = AsyncLimiter(limits.per_second, 1.0) if limits.per_second else None
        self._stopping = False

    async def run(self) -> None:
        """Publish for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.limits.in_flight):
                group.create_task(self._work(), name=f"publish-{number}")
            group.create_task(self._dispatch(), name="publish-dispatch")
            group.create_task(self._clean(), name="publish-clean")

    async def _dispatch(self) -> None:
        while True:
            self.woken.clear()
            if not self._take(time.monotonic(), self._room()):
                await self._rest()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is wanted from the streams: the circuit is open, and some letter is there to probe."""
        return self.circuit.is_open and bool(self._under_way or any(map(_letters, self._outbounds.values())))

    @property
    def _under_way(self) -> int:
        return self.limits.in_flight - self._free

    def _room(self) -> int:
        """How many letters may go out now. Through an open circuit one may, since without any nothing would probe."""
        if self._stopping:
            return 0
        return self._free if not self.circuit.is_open else int(not self._under_way)

    def _take(self, now: float, room: int) -> int:
        taken = 0
        for number in self._turns.order(self._outbounds):
            if taken >= room:
                break
            outbox = self._outbounds[number]
            batches = outbox.batcher.take(now, room - taken, self.admitted() - self._owing)
            self._free -= len(batches)
            self._owing += sum(batch.needs_sync for batch in batches)
            taken += len(batches)
            if batches:
                self._turns.served(number)
            for batch in batches:
                self._queue.put_nowait((outbox, batch))
        return taken

    async def _rest(self) -> None:
        """Until a letter is due and a publish is free."""
        if self._free <= 0 or self.circuit.is_open:
            pause = 1.0
        else:
            pause = min([1.0, *(due - time.monotonic() for due in due_times(self._outbounds.values()))])
        try:
            async with asyncio.timeout(max(0.0, pause)):
                await self.woken.wait()
        except TimeoutError:
            pass

    async def drained(self, seconds: float) -> None:
        """Take no more letters, and wait for those under way."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._free < self.limits.in_flight:  # noqa: ASYNC110 - many workers, one short wait
                    await asyncio.sleep(0.01)

    async def _work(self) -> None:
        while True:
            outbox, batch = await self._queue.get()
            ids = [event.event_id for event in batch.events()[:20]] if tracing.on() else []
            with tracing.span("publish", event_ids=ids):
                failed = await self._deliver(outbox.partition, batch)
            if failed:
                await self._until_kept(outbox.partition, failed)
            elif event := next(iter(batch.presence.values()), None):
                metrics.DELAY.observe(max(0.0, time.time() - event.ts / 1e6))
            outbox.batcher.done(batch, time.monotonic())
            self._owing -= batch.needs_sync
            self._free += 1
            self.woken.set()

    async def _deliver(self, partition: int, batch: PendingBatch) -> list[Notification | SyncNotification]:
        """Publish a letter in order; returns what must be appended to the stream again."""
        sync, failed = batch.sync, []
        if sync is not None and sync.friends is None:
            sync = await self._read(sync)
            if sync is not None and sync.friends is None:
                failed.append(sync)
                sync = None
        for body in bodies(batch, sync):
            if not await self._published(partition, batch.inbox, body):
                event_trace.published(batch.inbox, batch.events, sent=False)
                await self._given_up(batch)
                return failed + batch.again(self.limits.tries)
        event_trace.published(batch.inbox, batch.events, sent=True)
        return list(failed)

    async def _given_up(self, batch: PendingBatch) -> None:
        """After the last try the inbox is owed a sync instead of the presence in the letter."""
        if batch.tries >= self.limits.tries:
            lost = [
                FailedRecipient(
                    user=one.user,
                    event_id=one.event_id,
                    inbox=batch.inbox,
                    reason=f"not accepted in {batch.tries} tries; owed a sync",
                )
                for one in batch.events()
                if one.is_presence
            ]
            await self._tell_failed(lost)

    async def _read(self, sync: SyncNotification) -> SyncNotification | None:
        """The sync that was owed, still owed while the graph is away, or None for an unknown user."""
        try:
            return await self._ways.syncs.read(sync.user)
        except FriendsError as error:
            _log.warning("a sync waits for the graph", user=sync.user, reason=str(error))
            await asyncio.sleep(1.0)
            return sync

    async def _published(self, partition: int, inbox: str, body: bytes) -> bool:
        """True where the message is done with: sent, or kept as a dead letter."""
        for attempt in range(self.limits.quick_tries):
            await self._circuit_closed()
            if self._limiter:
                await self._limiter.acquire()
            answer = await self._ways.post.post(f"inbox.{inbox}", body)
            _COUNTED[answer.outcome].inc()
            if answer.outcome is Outcome.SENT:
                self._succeeded()
                return True
            if answer.outcome is Outcome.REFUSED:
                await self._bury(partition, inbox, body, answer)
                return True
            self._failed(answer)
            await asyncio.sleep(max(answer.retry_after, random.uniform(0.05, 0.2) * 2**attempt))
        return False

    def _succeeded(self) -> None:
        if self.circuit.succeeded():
            metrics.CIRCUIT_OPEN.set(0)
            _log.info("publishing goes on")
            self.woken.set()

    def _failed(self, answer: PublishResult) -> None:
        """Too many calls is an answer: only silence and server errors count against the origin."""
        if answer.outcome is Outcome.DENIED:
            metrics.DENIED.labels("publish").inc()
            _log.error("PubNub denies the publish; a new token is asked for", reason=answer.reason)
            self._ways.denied()
        elif not answer.reason.startswith("429") and self.circuit.failed(time.monotonic()):
            metrics.CIRCUIT_OPEN.set(1)
            _log.error("publishing stops until the origin answers", reason=answer.reason)

    async def _circuit_closed(self) -> None:
        while self.circuit.is_open and not self.circuit.may_probe(time.monotonic()):  # noqa: ASYNC110 - time opens it
            await asyncio.sleep(0.1)

    async def _bury(self, partition: int, inbox: str, body: bytes, answer: PublishResult) -> None:
        events = encoding.unpack_events(body)
        ids = [event["eventId"] for event in events]
        _log.error("a message was refused", inbox=inbox, bytes=len(body), reason=answer.reason, event_ids=ids)
        await self._tell_failed(
            [
                FailedRecipient(
                    user=event["payload"]["userId"],
                    event_id=event["eventId"],
                    inbox=inbox,
                    reason=answer.reason,
                )
                for event in events
                if event["type"] in {"friend.online", "friend.offline"}
            ]
        )
        while True:
            try:
                return await self._ways.dead.add_message(partition, inbox, body, answer.reason)
            except FriendsError as error:
                _log.warning("keeping a dead letter waits", reason=str(error))
                await asyncio.sleep(1.0)

    async def _tell_failed(self, some: Sequence[FailedRecipient]) -> None:
        """Worth one try: it explains, and decides nothing."""
        try:
            await self._ways.failed(some)
        except FriendsError as error:
            _log.warning("failed recipients are not kept", reason=str(error), recipients=len(some))

    async def _until_kept(self, partition: int, notices: list[Notification | SyncNotification]) -> None:
        while True:
            try:
                return await self._ways.inbox.requeue(partition, notices)
            except FriendsError as error:
                _log.warning("appending again waits", reason=str(error))
                await asyncio.sleep(1.0)

    async def _clean(self) -> None:
        forgot = time.monotonic()
        while True:
            await asyncio.sleep(CLEAN_INTERVAL_SECONDS)
            await self.clean_up()
            if time.monotonic() - forgot > FORGET_SECONDS:
                forgot = time.monotonic()
                for outbox in self._outbounds.values():
                    outbox.batcher.forget(forgot - FORGET_SECONDS)

    async def clean_up(self) -> None:
        """Delete entries of which everything is published or appended again."""
        entries = {number: done for number, out in self._outbounds.items() if (done := out.finished())}
        while entries:
            try:
                await self._ways.inbox.delete(entries)
                break
            except FriendsError as error:
                _log.warning("deleting waits", reason=str(error))
                await asyncio.sleep(1.0)


def due_times(outboxes: Iterable[PartitionOutbox]) -> list[float]:
    """When each of these has its next letter, of those that have any."""
    return [due for outbox in outboxes if (due := outbox.batcher.next_due()) is not None]


def set_windows(outboxes: Iterable[PartitionOutbox], window: float) -> None:
    """What waits already need not wait longer than what comes now."""
    for outbox in outboxes:
        outbox.batcher.window = window


def _letters(outbox: PartitionOutbox) -> int:
    return len(outbox.batcher)


def bodies(batch: PendingBatch, sync: SyncNotification | None) -> list[bytes]:
    """The messages of a letter in their order: the sync in its parts, then the events."""
    events = [(event.ts, event.body) for event in batch.events()]
    parts = encoding.sync(sync.user, sync.friends or (), sync.total, sync.ts) if sync else []
    return parts + encoding.batches(batch.inbox, events) if events else parts
