"""Flag committer: commits what is due in batches, reads the result, and enqueues the notifications.

For each batch, in this order: write the flags (one transaction), read the users' states (a second one), append the
notifications to the inbox streams, resolve the changes; entries of the presence log are deleted only afterwards.
Invariants: a batch that fails begins again with the commit, and its changes then count as redelivered; the read
begins after the commit; notifications of batches are appended in the order of their reads; while one batch is
notified the next is committed and read, and never a third; a change that the graph rejects is dead-lettered alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from graph_service import tracing
from graph_service.concurrency import cancellation
from graph_service.concurrency.retry import reason_of
from graph_service.concurrency.wait import wait_or_timeout
from graph_service.errors import FriendsError
from graph_service.model.model import CommitResult, Flag, PresenceSnapshot
from graph_service.valkey.failures import retry_queue
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
"""Until a batch is tried again."""
IMPOSSIBLE_USER = "*"
"""An id that no user can have."""
LINGER_SECONDS = 0.02
"""How long a batch waits for more once something is due."""
SMALL_BATCH = 50
"""Changes up to which most of what a batch costs does not depend on their number."""
MIN_INTERVAL_SECONDS = 0.1
"""From the beginning of a small batch to that of the next."""
MAX_WAIT_SECONDS = 1.0
"""Between two looks for what is due."""
_log = structlog.get_logger(__name__)
Taken = tuple[Debouncer, Change]


class FlagStore(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that the committer needs."""

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """Write flags in one transaction that is committed on return."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock of each user."""


@dataclass(slots=True)
class Batch:
    """What is still to do of the changes that were taken together."""

    parts: list[Sequence[Taken]]
    """The last one is worked on. There is one, unless the graph rejected it: then its halves."""
    backoff_seconds: float = field(default_factory=lambda: MIN_BACKOFF_SECONDS)
    began: float = field(default_factory=time.monotonic)

    def done(self) -> None:
        """The last part is notified, or dead-lettered."""
        self.parts.pop()
        self.backoff_seconds = MIN_BACKOFF_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """One part of a batch, committed and read."""

    taken: Sequence[Taken]
    result: CommitResult
    snapshots: Sequence[PresenceSnapshot]

    @property
    def changes(self) -> list[Change]:
        """Without their debouncers."""
        return [change for _, change in self.taken]


def users_to_notify(changes: Sequence[Change], result: CommitResult) -> list[str]:
    """Whose friends are notified: not those of a flap or repeat, unless the flag was not what it was thought to be."""
    return [
        change.user
        for change in changes
        if change.user in result.duplicate
        or change.user in (result.changed if change.notify or change.redelivered else result.flipped)
    ]


def add_notifications(
    snapshots: Sequence[PresenceSnapshot], hidden: Set[str], notifications: NotificationBatch
) -> None:
    """What one read leads to: friends are notified unless the user was `hidden` at the commit, present users get a sync.

    Who was visible at the commit and hid before this read is announced as offline: the hiding may have found them
    offline already.
    """
    for one in snapshots:
        if one.user not in hidden:
            notifications.add(presence_event(one), one.online_friends)
        if one.present:
            notifications.sync(sync_of(one))


class FlagCommitter:
    """Commits the changes of all partitions this process owns."""

    def __init__(
        self,
        *,
        debouncers: Mapping[int, Debouncer],
        wakeup: asyncio.Event,
        flags: FlagStore,
        log: PresenceLog,
        inbox: InboxStreams,
        watermark: Watermark,
        lookups: PresenceLookup,
        change_history: ChangeHistory,
        append_events: Callable[[Sequence[Event]], Awaitable[None]],
        dead_letter: Callable[[PresenceEvent, str], Awaitable[None]],
        on_committed: Callable[[Sequence[PresenceSnapshot]], None],
        on_batch_seconds: Callable[[float], None],
        verify_leaves: bool,
        now: Callable[[], int],
    ) -> None:
        self._debouncers = debouncers
        self._wakeup = wakeup
        self._flags = flags
        self._log = log
        self._inbox = inbox
        self._watermark = watermark
        self._lookups = lookups
        self._change_history = change_history
        self._append_events = append_events
        self._dead_letter = dead_letter
        self._on_committed = on_committed
        self._on_batch_seconds = on_batch_seconds
        self._verify_leaves = verify_leaves
        self._now = now
        self._stopping = False
        self._step = asyncio.Lock()
        self._appending = asyncio.Lock()
        self._notifying: list[asyncio.Task[None]] = []
        self._turns = RoundRobin()

    async def run(self) -> None:
        """Commit what is due, without end."""
        try:
            while True:
                self._wakeup.clear()
                await self._wait_until_due()
                began = time.monotonic()
                if 0 < await self.step() < SMALL_BATCH:
                    await asyncio.sleep(began + MIN_INTERVAL_SECONDS - time.monotonic())
        finally:
            await cancellation.cancel_and_wait(self._notifying)

    async def step(self) -> int:
        """Delete resolved entries, then commit and read one batch; returns its number of users.

        The batch is notified after this returns, which is not before the previous one is notified: so one is
        notified while the next is in the graph.
        """
        async with self._step:
            await self._delete_resolved()
            taken = self._take()
            previous = list(self._notifying)
            if taken:
                batch = Batch([taken])
                await self._verify(taken)
                committed = await self.commit_and_read(batch)
                self._notifying.append(asyncio.create_task(self.notify(batch, committed), name="notify"))
            await self._notified(previous if taken else [])
            return len(taken)

    async def drained(self) -> None:
        """Returns once no batch is in progress; none is begun any more, also by a `run` that goes on."""
        self._stopping = True
        try:
            async with self._step:
                await self._notified(self._notifying)
        finally:
            await cancellation.cancel_and_wait(self._notifying)
        await self._delete_resolved()

    async def commit_and_read(self, batch: Batch) -> Committed | None:
        """Commit and read the last part of a batch, however long graph and Valkey are away.

        A part that the graph rejects is halved down to the change at fault, which is dead-lettered, so that the
        others do not wait for it. None where nothing is left.
        """
        while batch.parts:
            try:
                return await self._committed(batch.parts[-1])
            except Exception as error:  # noqa: BLE001 - whatever one row causes, the others must be committed
                await self._failed(batch, error)
        return None

    async def notify(self, batch: Batch, committed: Committed | None) -> None:
        """Append the notifications of what was read, then do the rest of the batch in the same way."""
        try:
            while committed is not None:
                try:
                    async with self._appending:  # a fair lock: in the order of the reads
                        await self._append(committed)
                except Exception as error:  # noqa: BLE001 - as in `commit_and_read`
                    await self._failed(batch, error)
                else:
                    self._resolve(committed)  # last: what is resolved must not be tried again
                    batch.done()
                committed = await self.commit_and_read(batch)
        finally:
            metrics.FLAG_WRITE_SECONDS.observe(time.monotonic() - batch.began)
            self._wakeup.set()  # its log entries can be deleted
        self._on_batch_seconds(time.monotonic() - batch.began)

    async def _wait_until_due(self) -> None:
        due = min(
            (due for debouncer in self._debouncers.values() if (due := debouncer.next_due()) is not None),
            default=None,
        )
        seconds = MAX_WAIT_SECONDS if due is None else (due - self._now()) / 1000
        if seconds > 0:
            await wait_or_timeout(self._wakeup, seconds=min(MAX_WAIT_SECONDS, seconds))
        await asyncio.sleep(LINGER_SECONDS)

    async def _notified(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait for these, and raise what ended any of them, or another that has ended."""
        if tasks:
            await asyncio.wait(tasks)
        ended = [task for task in self._notifying if task.done()]
        self._notifying = [task for task in self._notifying if task not in ended]
        for task in ended:
            task.result()

    def _take(self) -> list[Taken]:
        taken: list[Taken] = []
        if self._stopping:
            return taken
        now = self._now()
        for number in self._turns.order(self._debouncers):
            if len(taken) >= MAX_BATCH:
                break
            debouncer = self._debouncers[number]
            if some := debouncer.take(now, MAX_BATCH - len(taken)):
                self._turns.served(number)
                taken += [(debouncer, change) for change in some]
        return taken

    async def _verify(self, taken: Sequence[Taken]) -> None:
        """Who left with one device may be present with another. Who cannot be looked up counts as gone."""
        if not self._verify_leaves:
            return
        left = {
            change.user: (debouncer, change)
            for debouncer, change in taken
            if not change.online and change.reason == "leave"
        }
        present = await self._lookups.still_there({user: change.at for user, (_, change) in left.items()})
        for user, event in present.items():
            debouncer, change = left[user]
            debouncer.still_present(change, event.at)

    async def _failed(self, batch: Batch, error: Exception) -> None:
        """Have the last part tried again: later, or in halves, or without the change at fault."""
        part, reason = batch.parts[-1], reason_of(error)
        for _, change in part:
            change.redelivered = True  # it may be committed: then its friends are notified in any case
        if not (isinstance(error, FriendsError) and error.temporary):
            _log.error("commit.batch.failed", users=len(part), exc_info=error)
            if await self._isolated(batch, reason):
                batch.backoff_seconds = MIN_BACKOFF_SECONDS
                return
        seconds = batch.backoff_seconds
        batch.backoff_seconds = min(MAX_BACKOFF_SECONDS, seconds * 2)
        _log.warning("commit.batch.retrying", users=len(part), reason=reason, seconds=seconds)
        await asyncio.sleep(seconds)

    async def _isolated(self, batch: Batch, reason: str) -> bool:
        """Halve the last part, or dead-letter it where it is one change; False where no change is at fault."""
        part = batch.parts[-1]
        if len(part) > 1:
            batch.parts[-1:] = [part[len(part) // 2 :], part[: len(part) // 2]]
            return True
        if not await self._graph_accepts():
            return False
        debouncer, change = part[0]
        metrics.FLAG_WRITES_REFUSED.labels("change").inc()
        _log.error("commit.change.rejected", event_id=change.event_id, user=change.user, reason=reason)
        # Dead-lettered first, then resolved: the log entry goes only once the change is stored elsewhere.
        event = PresenceEvent(change.user, change.online, change.at, change.shard, change.reason)
        await retry_queue(partial(self._dead_letter, event, reason), event="commit.dead_letter")
        debouncer.resolved(change)
        batch.done()
        return True

    async def _graph_accepts(self) -> bool:
        """Whether commit and read work for a user who cannot exist: else no change is at fault, and all wait."""
        try:
            await self._flags.write_flags([Flag(IMPOSSIBLE_USER, False, 0, 0)])
            await self._flags.read_snapshots([IMPOSSIBLE_USER])
        except Exception as error:  # noqa: BLE001 - any error says the same
            metrics.FLAG_WRITES_REFUSED.labels("graph").inc()
            _log.error("commit.graph.rejects_everything", reason=reason_of(error))
            return False
        return True

    async def _committed(self, taken: Sequence[Taken]) -> Committed:
        """Commit and read, once."""
        changes = [change for _, change in taken]
        with tracing.span("commit", users=len(taken), event_ids=event_trace.span_ids(lambda: changes)):
            result = await self._flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in changes])
            await self._look_up_conflicts(result.duplicate & result.flipped)
            users = [*users_to_notify(changes, result), *result.stale]
            snapshots = await self._read(users) if users else []
        return Committed(taken=taken, result=result, snapshots=snapshots)

    async def _read(self, users: Sequence[str]) -> Sequence[PresenceSnapshot]:
        # Begun after the commit: a read that began before it could miss a friend of the same batch.
        return await self._watermark.read(partial(self._flags.read_snapshots, users))

    async def _append(self, committed: Committed) -> None:
        result, notifications = committed.result, self._inbox.notifications()
        newest = [one for one in committed.snapshots if one.user not in result.stale]
        add_notifications(newest, result.hidden, notifications)
        records = change_records(committed.changes, result, committed.snapshots, self._now())
        event_trace.committed(records, committed.snapshots)  # before anything of it can be published
        with tracing.span(
            "enqueue", users=len(newest), event_ids=event_trace.span_ids(lambda: committed.changes)
        ):
            await self._inbox.append(notifications)
        await self._append_events([presence_event(one) for one in newest if one.user not in result.hidden])
        await self._change_history.add(records)
        self._on_committed(newest)
        count(result, notifications)

    async def _look_up_conflicts(self, users: frozenset[str]) -> None:
        """The graph held the other state with the same time: Where Now decides, as a newer event."""
        if users:
            found = await self._lookups.all(sorted(users))
            await self._log.append(list(found.values()))

    @staticmethod
    def _resolve(committed: Committed) -> None:
        result = committed.result
        newer = {
            one.user: (one.present, one.presence_at)
            for one in committed.snapshots
            if one.user in result.stale
        }
        for debouncer, change in committed.taken:
            offline = (False, change.at) if change.user in result.unknown else None
            debouncer.resolved(change, newer.get(change.user, offline))

    async def _delete_resolved(self) -> None:
        entries = {
            partition: done
            for partition, debouncer in list(self._debouncers.items())
            if (done := debouncer.finished())
        }
        if entries:
            await retry_queue(partial(self._log.delete, entries), event="commit.delete_entries")


def change_records(
    changes: Sequence[Change], result: CommitResult, snapshots: Sequence[PresenceSnapshot], now: int
) -> list[ChangeRecord]:
    """One record a change for the change history; none of unknown users, who may have been erased."""
    recipients = {one.user: 0 if one.user in result.hidden else len(one.online_friends) for one in snapshots}
    return [
        _record(change, result, recipients, now) for change in changes if change.user not in result.unknown
    ]


def _record(change: Change, result: CommitResult, recipients: Mapping[str, int], now: int) -> ChangeRecord:
    outcome = "older" if change.user in result.stale else "told" if change.user in recipients else "silent"
    return ChangeRecord(
        user=change.user,
        event_id=change.event_id,
        online=change.online,
        at=change.at,
        reason=change.reason,
        held_until=change.due,
        settled_at=now,
        outcome=outcome,
        recipients=recipients.get(change.user, 0) if outcome == "told" else 0,
    )


def count(result: CommitResult, notifications: NotificationBatch) -> None:
    """Count and log a batch that is committed and notified."""
    outcomes = {
        "changed": len(result.changed),
        "equal": len(result.duplicate),
        "older": len(result.stale),
        "unknown": len(result.unknown),
    }
    for outcome, users in outcomes.items():
        metrics.FLAG_WRITES.labels(outcome).inc(users)
    metrics.UNKNOWN_USERS.inc(len(result.unknown))
    recipients = notifications.recipients
    metrics.NOTIFICATIONS.inc(recipients)
    _log.debug("commit.batch.done", **outcomes, recipients=recipients)
