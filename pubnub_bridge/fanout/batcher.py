"""Batcher: all notifications pending for one inbox become as few messages as possible; the newest of each friend wins.

Pure; `now` is any clock in seconds. Knows what is pending, how long it lingers, and which stream entries are still
needed. Invariants:

- of several events about one friend the newest presence and the newest friendship event are published, never none;
- presence older than a pending end of that friendship is dropped;
- an inbox has at most one pending sync: a newer one replaces it, and one that is read replaces one that is not;
- one batch of an inbox is in flight at a time, so its order is kept, and batches keep a minimum interval;
- a batch lingers for the window of the moment it began, or of now where that is shorter, so what a storm made linger
  does not go on when it is over; a sync does not linger at all;
- batches that need a sync are set aside while the graph takes no more reads.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from pubnub_bridge.model.notification import PRESENCE_KINDS, Event, Notification, SyncNotification

SYNC_SUPPRESSION_SECONDS = 15.0
"""How long after a sync that the client asked for the server's own at a join is left out."""
CLOSING_HALF_LIFE_SECONDS = 1.0
"""How long a window that nothing keeps open takes to close by half."""

BATCH_WINDOW_MAX_SECONDS = 30.0
"""The batch window when publishing is as late as it can be, and the most that a storm may ask for."""


@dataclass(frozen=True, slots=True)
class BatchWindow:
    """How long to wait, in seconds."""

    min_seconds: float = 0.0
    """The window when calm."""
    max_seconds: float = BATCH_WINDOW_MAX_SECONDS
    """The window in the worst storm."""
    calm_seconds: float = 0.05
    """How late batches may be before the window opens."""
    min_interval_seconds: float = 0.1
    """Between two batches to one inbox: ten a second (PubNub docs: 10-15 messages/s a channel)."""
    min_sync_interval_seconds: float = 1.0
    """Between two syncs to one inbox."""


class AdaptiveWindow:
    """The batch window: none when calm, twice the lateness of batches under load.

    It opens at once and closes by half each second, so that the end of a storm does not begin another.
    """

    def __init__(self, *, window: BatchWindow) -> None:
        self._window = window
        self._at = 0.0
        self.seconds = window.min_seconds

    def observe(self, lateness: float, now: float, min_seconds: float = 0.0) -> float:
        """The window, by the lateness of the oldest batch that is due; at least `min_seconds`, as in a storm."""
        window = self._window
        closing = self.seconds * 0.5 ** (max(0.0, now - self._at) / CLOSING_HALF_LIFE_SECONDS)
        opened = 2 * lateness if lateness > window.calm_seconds else 0.0
        wanted = max(closing if closing > window.calm_seconds else 0.0, opened, min_seconds)
        self.seconds, self._at = min(window.max_seconds, max(window.min_seconds, wanted)), now
        return self.seconds


#             due                   sent, or dead-lettered
# collecting ──────────► in flight ─────────────────────────► done
#   │    ▲                   │
#   │    │ room              │ attempts used up: appended to the stream again
#   ▼    │                   └──────────────────────────────► done
# set aside (needs a sync, and the graph takes no more)
#
# In flight, a batch is out of reach: what arrives for its inbox begins another one.
@dataclass(slots=True)
class PendingBatch:
    """What is pending for one inbox."""

    inbox: str
    generation: int
    """The oldest stream read that anything in it comes from."""
    due: float
    presence: dict[str, Event] = field(default_factory=dict)
    friendships: dict[str, Event] = field(default_factory=dict)
    sync: SyncNotification | None = None
    tries: int = 0
    """How often any of it was in the stream before."""
    began: float = 0.0
    """When it was begun; what is added later lingers less."""

    @property
    def needs_sync(self) -> bool:
        """Whether a sync must be read from the graph before it can go out."""
        return self.sync is not None and self.sync.friends is None

    def events(self) -> list[Event]:
        """What is published, in the order of the reads."""
        if not self.friendships:
            return list(self.presence.values())
        events = list(self.friendships.values())
        for user, event in self.presence.items():
            friendship = self.friendships.get(user)
            if friendship is None or friendship.kind != "removed" or friendship.ts < event.ts:
                events.append(event)
        return sorted(events, key=lambda event: event.ts)

    def put(self, event: Event) -> bool:
        """Add one event; False where one about this friend was pending already."""
        slot = self.presence if event.kind in PRESENCE_KINDS else self.friendships
        other = slot.setdefault(event.user, event)
        if other is event:
            return True
        if other.key <= event.key:
            slot[event.user] = event
        return False

    def put_sync(self, sync: SyncNotification) -> None:
        """Keep the better of two syncs: one that is read, else the newer."""
        if self.sync is None or self.sync.friends is None or sync.ts > self.sync.ts:
            self.sync = sync

    def to_requeue(self, max_tries: int) -> list[Notification | SyncNotification]:
        """What must be appended to the stream again where the batch could not be published.

        After `max_tries` the inbox needs a sync instead of its presence. A friendship event is in no sync, so it is
        never given up.
        """
        events, needs_sync = self.events(), self.sync is not None
        if self.tries >= max_tries:
            needs_sync = needs_sync or any(event.is_presence for event in events)
            events = [event for event in events if not event.is_presence]
        back: list[Notification | SyncNotification] = [
            Notification(event, [self.inbox], self.tries + 1) for event in events
        ]
        return [*back, SyncNotification(self.inbox, reason="lost")] if needs_sync else back


class Batcher:
    """The inboxes of one partition."""

    def __init__(self, *, window: BatchWindow) -> None:
        self._intervals = window
        self._collecting: dict[str, PendingBatch] = {}
        self._in_flight: dict[str, PendingBatch] = {}
        self._set_aside: deque[PendingBatch] = deque()
        self._lingering: deque[PendingBatch] = deque()
        """In the order they were begun."""
        self._due: list[tuple[float, str]] = []
        self._last: dict[str, float] = {}
        self._last_sync: dict[str, float] = {}
        self._last_asked: dict[str, float] = {}
        self._generation = 0
        self._open: dict[int, int] = {}
        """How many batches are not done, by generation."""
        self.window = 0.0
        """Seconds that a batch lingers now."""
        self.coalesced = 0
        """Events that needed no message of their own."""

    def __len__(self) -> int:
        """How many inboxes have a batch that is collecting."""
        return len(self._collecting)

    @property
    def busy(self) -> int:
        """How many batches are collecting or in flight."""
        return len(self._collecting) + len(self._in_flight)

    def add(
        self, notifications: Iterable[Notification | SyncNotification], now: float, window: float = 0.0
    ) -> int:
        """Take what one read of the stream brought; what begins a batch lingers `window` seconds.

        Returns the generation, which `finished` returns once the entries of the read are not needed any more.
        """
        self._generation += 1
        self._open[self._generation] = 0
        self.window = window
        for notification in notifications:
            if isinstance(notification, SyncNotification):
                self._add_sync(notification, now)
                continue
            event = notification.event
            for inbox in notification.recipients:
                batch = self._collecting.get(inbox) or self._begin(inbox, now, window)
                if not batch.put(event):
                    self.coalesced += 1
                if notification.tries:
                    batch.tries = max(batch.tries, notification.tries)
        return self._generation

    def next_due(self) -> float | None:
        """When `take` has the next batch, or None."""
        dues = [self._due[0][0]] if self._due else []
        while self._lingering and self._collecting.get(self._lingering[0].inbox) is not self._lingering[0]:
            self._lingering.popleft()
        if self._lingering:
            dues.append(self._lingering[0].began + self.window)
        return min(dues, default=None)

    def take(self, now: float, limit: int, max_syncs: int | None = None) -> list[PendingBatch]:
        """Up to `limit` batches that are due, at most `max_syncs` of which need a sync. Each must be given to `done`."""
        taken: list[PendingBatch] = []
        room = limit if max_syncs is None else min(limit, max_syncs)
        self._readmit(now, room)
        self._end_linger(now)
        while self._due and self._due[0][0] <= now and len(taken) < limit:
            _, inbox = heapq.heappop(self._due)
            batch = self._collecting.get(inbox)
            if batch is None or batch.due > now or inbox in self._in_flight:
                continue  # stale: it was taken, or has another time by now, or `done` schedules it
            if batch.needs_sync and room <= 0:
                self._set_aside.append(batch)
                continue
            room -= batch.needs_sync
            del self._collecting[inbox]
            self._in_flight[inbox] = batch
            taken.append(batch)
        return taken

    def done(self, batch: PendingBatch, now: float) -> None:
        """A batch was published, or what failed of it was appended to the stream again."""
        inbox = batch.inbox
        del self._in_flight[inbox]
        self._open[batch.generation] -= 1
        self._last[inbox] = now
        if batch.sync is not None:
            self._last_sync[inbox] = now
        if collecting := self._collecting.get(inbox):
            self._reschedule(collecting)

    def finished(self) -> list[int]:
        """Generations of which nothing is pending, nor of any older one; each returned once."""
        done = []
        for generation, count in self._open.items():
            # What a younger read brought may have been merged into a batch of an older generation.
            if count:
                break
            done.append(generation)
        for generation in done:
            del self._open[generation]
        return done

    def forget(self, before: float) -> None:
        """Drop the times of inboxes not published to since; call it now and then."""
        for times in (self._last, self._last_sync, self._last_asked):
            for inbox in [inbox for inbox, at in times.items() if at < before]:
                del times[inbox]

    def _end_linger(self, now: float) -> None:
        """Schedule what has lingered for as long as the window is now."""
        while self._lingering and self._lingering[0].began + self.window <= now:
            batch = self._lingering.popleft()
            if self._collecting.get(batch.inbox) is batch and batch.due > now:
                batch.due = now
                self._reschedule(batch)

    def _readmit(self, now: float, room: int) -> None:
        """Schedule batches set aside again, as many as there is room for."""
        while self._set_aside and room > 0:
            batch = self._set_aside.popleft()
            # It may have been taken since then, by a sync that was read.
            if self._collecting.get(batch.inbox) is batch and batch.needs_sync:
                heapq.heappush(self._due, (max(now, batch.due), batch.inbox))
                room -= 1

    def _add_sync(self, sync: SyncNotification, now: float) -> None:
        inbox = sync.user
        if sync.reason == "join":
            # The client asked when it had connected; the join comes a presence interval later.
            asked = self._last_asked.get(inbox)
            if asked is not None and now - asked < SYNC_SUPPRESSION_SECONDS:
                return
        if sync.reason == "asked":
            self._last_asked[inbox] = now
        batch = self._collecting.get(inbox) or self._begin(inbox, now)
        batch.due = min(batch.due, now)
        batch.put_sync(sync)
        self._reschedule(batch)

    def _begin(self, inbox: str, now: float, window: float = 0.0) -> PendingBatch:
        batch = PendingBatch(inbox, self._generation, now + window, began=now)
        if window:
            self._lingering.append(batch)
        self._collecting[inbox] = batch
        self._open[self._generation] += 1
        self._reschedule(batch)
        return batch

    def _reschedule(self, batch: PendingBatch) -> None:
        """Schedule a batch, not too soon after the last one or, with a sync, after the last sync."""
        inbox = batch.inbox
        if inbox in self._last:
            batch.due = max(batch.due, self._last[inbox] + self._intervals.min_interval_seconds)
        if batch.sync is not None and inbox in self._last_sync:
            batch.due = max(batch.due, self._last_sync[inbox] + self._intervals.min_sync_interval_seconds)
        heapq.heappush(self._due, (batch.due, inbox))
