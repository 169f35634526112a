"""Settling (rows 5 to 8 of the walk): what is due goes into the graph, and what the graph then says is to be told.

Knows holds, flags and streams. Three steps in this order, each of which may be repeated: commit the flags, read
state and clock in a second transaction, append the notices; then the entries of the seen stream are deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from graph_service import tracing
from graph_service.concurrency import cancellation
from graph_service.errors import FriendsError, QueueUnavailable
from graph_service.model.model import CommitResult, Flag, PresenceSnapshot
from pubnub_bridge import metrics
from pubnub_bridge.debounce.debouncer import Change, Debouncer
from pubnub_bridge.model.notification import Event, NotificationBatch, presence_event, sync_of
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.model.round_robin import RoundRobin
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.store import event_trace
from pubnub_bridge.store.change_history import ChangeHistory, ChangeRecord
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.presence_log import PresenceLog
from pubnub_bridge.store.watermark import Watermark

MAX_BATCH = 500
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0
"""Seconds until a batch is tried again."""
MAX_TRACED_IDS = 20
"""Event ids in the span of a batch."""
NOBODY = "*"
"""An id that no user can have."""
LINGER_SECONDS = 0.02
"""Seconds to wait for company once something is due."""
SMALL_BATCH = 50
"""Changes up to which most of what a batch costs is its own."""
MIN_INTERVAL_SECONDS = 0.1
"""Seconds from the beginning of a small batch to that of the next."""
_log = structlog.get_logger(__name__)
Taken = tuple[Debouncer, Change]


class Refusal:
    """Why a batch could not be settled."""

    def __init__(self, error: Exception) -> None:
        self.temporary = isinstance(error, FriendsError) and error.temporary
        self.reason = str(error)[:300] or type(error).__name__


class FlagStore(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that settling needs."""

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """Row 6: one committed transaction."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Row 7: a read begun afterwards."""


def users_to_notify(changes: Sequence[Change], settled: CommitResult) -> list[str]:
    """Who of a batch has news. A flap or repeat has none, unless the flag was not what it was thought to be."""
    return [
        change.user
        for change in changes
        if change.user in settled.equal
        or change.user in (settled.changed if change.tell or change.again else settled.flipped)
    ]


def add_notifications(
    told: Sequence[PresenceSnapshot], hidden: Set[str], notifications: NotificationBatch
) -> None:
    """Rows 7 to 8: what one read of these users leads to. Who changed while hidden is not talked of, but talked to.

    Who was visible at the commit and hid before this read is told of as offline: the hiding may have found them gone.
    """
    for one in told:
        if one.user not in hidden:
            notifications.add(presence_event(one), one.online_friends)
        if one.present:
            notifications.sync(sync_of(one))


@dataclass(frozen=True, slots=True)
class Around:
    """What settling leans on."""

    flags: FlagStore
    log: PresenceLog
    inbox: InboxStreams
    watermark: Watermark
    lookups: PresenceLookup
    change_history: ChangeHistory
    now: Callable[[], int]
    """PubNub's time in milliseconds."""
    events: Callable[[Sequence[Event]], Awaitable[None]]
    """Keeps events for the product's own back end."""
    refused: Callable[[PresenceEvent, str], Awaitable[None]]
    """Keeps a change that the graph refuses, with its reason."""
    verify_leaves: bool = True
    """Whether someone who left is looked up first, since another device may still be there."""


class FlagCommitter:
    """Settles the users of all partitions this process owns."""

    def __init__(self, around: Around, debouncers: Mapping[int, Debouncer]) -> None:
        self._around = around
        self._holds = debouncers
        self.woken = asyncio.Event()
        """Set it when a hold has something new."""
        self.told: Callable[[Sequence[PresenceSnapshot]], None] = lambda _told: None
        """Told of everyone whose state was settled, for what is written behind."""
        self.took: Callable[[float], None] = lambda _seconds: None
        """Told how long each batch took."""
        self.batches: list[asyncio.Task[None]] = []
        """Those under way: at most one that is being told of, and one in the graph."""
        self._telling = asyncio.Lock()
        self._turns = RoundRobin()

    async def run(self) -> None:
        """Settle what is due, for ever."""
        while True:
            self.woken.clear()
            await self._wait()
            began = time.monotonic()
            if 0 < await self.step() < SMALL_BATCH:
                await asyncio.sleep(began + MIN_INTERVAL_SECONDS - time.monotonic())

    async def step(self) -> int:
        """Delete what is done and settle one batch of what is due now; returns the number of users.

        It returns when the graph is done with the batch and the one before is told of, so that one is told of while
        the next is in the graph.
        """
        await self._delete_finished()
        taken = self._take()
        if taken:
            read = asyncio.Event()
            self.batches.append(asyncio.create_task(self._batch(taken, read), name="settle"))
            await read.wait()
        await self._done(self.batches[:-1] if taken else [])
        return len(taken)

    async def drained(self) -> None:
        """Returns once no batch is under way; call it when nobody runs `run` any more."""
        try:
            await self._done(self.batches)
        finally:
            await cancellation.cancel_and_wait(self.batches)
        await self._delete_finished()

    async def _done(self, batches: Sequence[asyncio.Task[None]]) -> None:
        """Wait for these, and raise what ended any of them or of those that have ended meanwhile."""
        if batches:
            await asyncio.wait(batches)
        ended = [batch for batch in self.batches if batch.done()]
        self.batches = [batch for batch in self.batches if batch not in ended]
        for batch in ended:
            batch.result()

    async def _batch(self, taken: Sequence[Taken], read: asyncio.Event) -> None:
        began = time.monotonic()
        try:
            with metrics.FLAG_WRITE_SECONDS.time():
                await self._until_done(taken, read)
        finally:
            read.set()
            self.woken.set()  # what it was needed for can be deleted
        self.took(time.monotonic() - began)

    async def _wait(self) -> None:
        due = min(
            (due for debouncer in self._holds.values() if (due := debouncer.next_due()) is not None),
            default=None,
        )
        pause = 1.0 if due is None else min(1.0, (due - self._around.now()) / 1000)
        if pause > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.woken.wait()
        await asyncio.sleep(LINGER_SECONDS)

    def _take(self) -> list[Taken]:
        taken: list[Taken] = []
        now = self._around.now()
        for number in self._turns.order(self._holds):
            if len(taken) >= MAX_BATCH:
                break
            debouncer = self._holds[number]
            if some := debouncer.take(now, MAX_BATCH - len(taken)):
                self._turns.served(number)
                taken += [(debouncer, change) for change in some]
        return taken

    async def _until_done(self, taken: Sequence[Taken], read: asyncio.Event) -> None:
        """The graph and the queue may be away for as long as they like: the batch waits for them.

        Where the graph refuses a batch, its halves are tried, down to the change at fault, so that one bad row
        keeps nobody else waiting.
        """
        await self._confirm(taken)
        parts, wait = [taken], MIN_BACKOFF_SECONDS
        while parts:
            refusal = await self._tried(parts[-1], read)
            if refusal is None:
                parts.pop()
            elif refusal.temporary or not await self._split(parts, refusal):
                await asyncio.sleep(wait)
                wait = min(MAX_BACKOFF_SECONDS, wait * 2)
                continue
            wait = MIN_BACKOFF_SECONDS

    async def _confirm(self, taken: Sequence[Taken]) -> None:
        """Who left one device may be there with another. Who cannot be looked up counts as gone."""
        if not self._around.verify_leaves:
            return
        left = {
            change.user: (debouncer, change)
            for debouncer, change in taken
            if not change.online and change.reason == "leave"
        }
        still = await self._around.lookups.still_there({user: one.at for user, (_, one) in left.items()})
        for user, seen in still.items():
            debouncer, change = left[user]
            debouncer.confirmed(change, seen.at)

    async def _tried(self, taken: Sequence[Taken], read: asyncio.Event) -> Refusal | None:
        ids = [change.event_id for _, change in taken[:MAX_TRACED_IDS]] if tracing.on() else []
        try:
            with tracing.span("settle", users=len(taken), event_ids=ids):
                await self._settle(taken, read)
        except Exception as error:  # noqa: BLE001 - whatever one row causes, the others must be settled
            refusal = Refusal(error)
            for _, change in taken:
                change.again = True
            told = _log.warning if refusal.temporary else _log.error
            told("settling waits", reason=refusal.reason, users=len(taken))
            return refusal
        return None

    async def _split(self, parts: list[Sequence[Taken]], refusal: Refusal) -> bool:
        """Replace the last part by its halves, or bury it where it is one change at fault; False to wait instead."""
        part = parts[-1]
        if len(part) > 1:
            parts[-1:] = [part[len(part) // 2 :], part[: len(part) // 2]]
            return True
        if not await self._others_settle():
            return False
        debouncer, change = part[0]
        metrics.FLAG_WRITES_REFUSED.labels("change").inc()
        _log.error("a change was refused", event_id=change.event_id, user=change.user, reason=refusal.reason)
        await self._bury(change, refusal.reason)
        debouncer.resolved(change)
        parts.pop()
        return True

    async def _others_settle(self) -> bool:
        """Whether rows 6 and 7 work for somebody who cannot exist: else no change is to blame, and all wait."""
        try:
            await self._around.flags.write_flags([Flag(NOBODY, False, 0, 0)])
            await self._around.flags.read_snapshots([NOBODY])
        except Exception as error:  # noqa: BLE001 - any error says the same
            metrics.FLAG_WRITES_REFUSED.labels("graph").inc()
            _log.error("the graph refuses every change", reason=Refusal(error).reason)
            return False
        return True

    async def _bury(self, change: Change, reason: str) -> None:
        seen = PresenceEvent(change.user, change.online, change.at, change.shard, change.reason)
        while True:
            try:
                return await self._around.refused(seen, reason)
            except QueueUnavailable as error:
                _log.warning("keeping a refused change waits", event_id=seen.event_id, reason=str(error))
                await asyncio.sleep(1.0)

    async def _settle(self, taken: Sequence[Taken], read: asyncio.Event) -> None:
        changes = [change for _, change in taken]
        around = self._around
        settled = await around.flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in changes])
        await self._look_up_ties(settled.equal & settled.flipped)
        asked = [*users_to_notify(changes, settled), *settled.older]
        told = await around.watermark.read(lambda: around.flags.read_snapshots(asked)) if asked else []
        read.set()
        async with self._telling:  # in the order of the reads
            await self._tell(changes, settled, told)
        self._resolve(taken, settled, told)  # last: what is resolved must not be tried again

    async def _tell(
        self, changes: Sequence[Change], settled: CommitResult, told: Sequence[PresenceSnapshot]
    ) -> None:
        around, notifications = self._around, self._around.inbox.notifications()
        fresh = [one for one in told if one.user not in settled.older]
        add_notifications(fresh, settled.hidden, notifications)
        kept = records(changes, settled, told, around.now())
        event_trace.committed(kept, told)  # before anybody can publish it
        await around.inbox.append(notifications)
        await around.events([presence_event(one) for one in fresh if one.user not in settled.hidden])
        await around.change_history.add(kept)
        self.told(fresh)
        count(settled, notifications)

    async def _look_up_ties(self, users: frozenset[str]) -> None:
        """The graph held the other state at the same time: Where Now says which is right, as a newer event."""
        if users:
            found = await self._around.lookups.all(sorted(users))
            await self._around.log.append(list(found.values()))

    @staticmethod
    def _resolve(taken: Sequence[Taken], settled: CommitResult, told: Sequence[PresenceSnapshot]) -> None:
        present = {one.user: (one.present, one.presence_at) for one in told if one.user in settled.older}
        for debouncer, change in taken:
            gone = (False, change.at) if change.user in settled.unknown else None
            debouncer.resolved(change, present.get(change.user, gone))

    async def _delete_finished(self) -> None:
        entries = {
            partition: done
            for partition, debouncer in list(self._holds.items())
            if (done := debouncer.finished())
        }
        while entries:
            try:
                await self._around.log.delete(entries)
                break
            except QueueUnavailable as error:
                _log.warning("deleting waits", reason=str(error))
                await asyncio.sleep(1.0)


def records(
    changes: Sequence[Change], settled: CommitResult, told: Sequence[PresenceSnapshot], now: int
) -> list[ChangeRecord]:
    """One record a change, for whoever asks why; none of ids without a user, who may have been erased."""
    heard = {one.user: 0 if one.user in settled.hidden else len(one.online_friends) for one in told}
    return [_record(change, settled, heard, now) for change in changes if change.user not in settled.unknown]


def _record(change: Change, settled: CommitResult, heard: Mapping[str, int], now: int) -> ChangeRecord:
    outcome = "older" if change.user in settled.older else "told" if change.user in heard else "silent"
    return ChangeRecord(
        user=change.user,
        event_id=change.event_id,
        online=change.online,
        at=change.at,
        reason=change.reason,
        held_until=change.due,
        settled_at=now,
        outcome=outcome,
        recipients=heard.get(change.user, 0) if outcome == "told" else 0,
    )


def count(settled: CommitResult, notifications: NotificationBatch) -> None:
    """Count a batch."""
    for outcome in ("changed", "equal", "older", "unknown"):
        metrics.FLAG_WRITES.labels(outcome).inc(len(getattr(settled, outcome)))
    metrics.UNKNOWN_USERS.inc(len(settled.unknown))
    metrics.NOTIFICATIONS.inc(notifications.recipients)
