"""Coalescing (row 9 of the walk): all that waits for one inbox becomes as few messages as possible. Pure.

Knows what waits, for how long, and which stream entries are still needed. Knows no stream and no HTTP. `now` is
any clock in seconds. Rules:

- of several events about one friend only the newest presence and the newest relation are told, never nothing;
- a presence older than a queued end of that friendship is dropped;
- one sync waits at most: a newer one replaces it, one read already replaces one that is only owed;
- one letter an inbox is on its way at a time, so its order is kept, and letters keep a distance;
- a letter waits as long as the window was when it was begun, or as it is now where that is shorter, and a sync not at
  all: what a storm made wait does not go on waiting when it is over;
- letters whose sync must still be read are set aside where the graph cannot bear more of them now.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from pubnub_bridge.model.notification import Event, Notification, SyncNotification

BATCH_WINDOW_MAX_SECONDS = 30.0
"""The batch window when publishing is as late as it can be, and the most that a storm may ask for."""


@dataclass(frozen=True, slots=True)
class BatchWindow:
    """How long to wait, in seconds."""

    shortest: float = 0.0
    """The window when calm."""
    longest: float = 30.0
    """The window in the worst storm."""
    calm: float = 0.05
    """How late letters may go out before the window opens."""
    distance: float = 0.1
    """Between two letters to one inbox: ten a second (PubNub docs: 10-15 messages/s a channel)."""
    sync_distance: float = 1.0
    """Between two syncs to one inbox."""


class AdaptiveWindow:
    """How long a notice waits for company: nothing when calm, twice as long as letters are late in a storm.

    It opens at once and closes by half a second, so that a storm's end does not begin another.
    """

    def __init__(self, pace: BatchWindow) -> None:
        self._pace = pace
        self._at = 0.0
        self.seconds = pace.shortest

    def observe(self, lateness: float, now: float, least: float = 0.0) -> float:
        """The window, given how late the oldest letter that is due is now; at least `least`, as in a storm."""
        pace = self._pace
        closing = self.seconds * 0.5 ** max(0.0, now - self._at)
        opened = 2 * lateness if lateness > pace.calm else 0.0
        wanted = max(closing if closing > pace.calm else 0.0, opened, least)
        self.seconds, self._at = min(pace.longest, max(pace.shortest, wanted)), now
        return self.seconds


@dataclass(slots=True)
class PendingBatch:
    """What waits for one inbox."""

    inbox: str
    generation: int
    """The oldest read that anything in it comes from."""
    due: float
    presence: dict[str, Event] = field(default_factory=dict)
    relations: dict[str, Event] = field(default_factory=dict)
    sync: SyncNotification | None = None
    tries: int = 0
    began: float = 0.0
    """When it was begun; what comes to it later waits less."""

    @property
    def needs_sync(self) -> bool:
        """Whether a sync must be read from the graph before it can go out."""
        return self.sync is not None and self.sync.friends is None

    def events(self) -> list[Event]:
        """What is told, relations first, in the order of their reads."""
        if not self.relations:
            return list(self.presence.values())
        told = list(self.relations.values())
        for user, event in self.presence.items():
            relation = self.relations.get(user)
            if relation is None or relation.kind != "removed" or relation.ts < event.ts:
                told.append(event)
        return sorted(told, key=lambda event: event.ts)

    def put(self, event: Event) -> bool:
        """Add one event; False where one about this friend was waiting already."""
        slot = self.presence if event.kind in _PRESENCE else self.relations
        other = slot.setdefault(event.user, event)
        if other is event:
            return True
        if other.key <= event.key:
            slot[event.user] = event
        return False

    def put_sync(self, notice: SyncNotification) -> None:
        """Keep the better of two syncs: one read already, else the newer."""
        if self.sync is None or self.sync.friends is None or (notice.ts > self.sync.ts):
            self.sync = notice

    def again(self, tries: int) -> list[Notification | SyncNotification]:
        """What must be appended to the stream where the letter could not be published.

        Its events have one more try; after the last one the inbox is owed a sync instead of its presence. A
        relation is in no sync, so it is tried for ever.
        """
        events, owed = self.events(), self.sync is not None
        if self.tries >= tries:
            owed = owed or any(event.is_presence for event in events)
            events = [event for event in events if not event.is_presence]
        back: list[Notification | SyncNotification] = [
            Notification(e, [self.inbox], self.tries + 1) for e in events
        ]
        return [*back, SyncNotification(self.inbox, reason="lost")] if owed else back


_PRESENCE = frozenset({"online", "offline"})


class Batcher:
    """The inboxes of one partition."""

    def __init__(self, pace: BatchWindow | None = None) -> None:
        self._pace = pace or BatchWindow()
        self._waiting: dict[str, PendingBatch] = {}
        self._under_way: dict[str, PendingBatch] = {}
        self._last: dict[str, float] = {}
        self._last_sync: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._due: list[tuple[float, str]] = []
        self._patient: deque[PendingBatch] = deque()
        """Letters that wait for company, in the order they were begun."""
        self.window = 0.0
        """Seconds that news waits for company now."""
        self._aside: deque[tuple[str, PendingBatch]] = deque()
        self._open: dict[int, int] = {}
        self._generation = 0
        self.saved = 0
        """Events that needed no message of their own."""

    def __len__(self) -> int:
        """How many inboxes wait."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """How many inboxes wait or are being written to."""
        return len(self._waiting) + len(self._under_way)

    def add(self, notices: Iterable[Notification | SyncNotification], now: float, window: float = 0.0) -> int:
        """Take what one read of the stream brought; each waits `window` seconds for company.

        Returns the generation, which `finished` names once the entries of the read are not needed any more.
        """
        self._generation += 1
        self._open[self._generation] = 0
        self.window = window
        for notice in notices:
            if isinstance(notice, SyncNotification):
                self._add_sync(notice, now)
                continue
            event = notice.event
            for inbox in notice.recipients:
                batch = self._waiting.get(inbox) or self._letter(inbox, now, window)
                if not batch.put(event):
                    self.saved += 1
                if notice.tries:
                    batch.tries = max(batch.tries, notice.tries)
        return self._generation

    def next_due(self) -> float | None:
        """When `take` has the next letter, or None."""
        dues = [self._due[0][0]] if self._due else []
        while self._patient and self._waiting.get(self._patient[0].inbox) is not self._patient[0]:
            self._patient.popleft()
        if self._patient:
            dues.append(self._patient[0].began + self.window)
        return min(dues, default=None)

    def take(self, now: float, limit: int, max_syncs: int | None = None) -> list[PendingBatch]:
        """Up to `limit` letters that are due, at most `max_syncs` of which owe a sync. Each must be given back to `done`."""
        taken: list[PendingBatch] = []
        room = limit if max_syncs is None else min(limit, max_syncs)
        self._admit(now, room)
        self._hurry(now)
        while self._due and self._due[0][0] <= now and len(taken) < limit:
            _, inbox = heapq.heappop(self._due)
            batch = self._waiting.get(inbox)
            if batch is None or batch.due > now or inbox in self._under_way:
                continue
            if batch.needs_sync and room <= 0:
                self._aside.append((inbox, batch))
                continue
            room -= batch.needs_sync
            del self._waiting[inbox]
            self._under_way[inbox] = batch
            taken.append(batch)
        return taken

    def _hurry(self, now: float) -> None:
        """Plan anew what has waited for as long as the window is now."""
        while self._patient and self._patient[0].began + self.window <= now:
            batch = self._patient.popleft()
            if self._waiting.get(batch.inbox) is batch and batch.due > now:
                batch.due = now
                self._keep_distance(batch)

    def _admit(self, now: float, room: int) -> None:
        """Plan those set aside again, as many as there is room for; who was written to meanwhile is not among them."""
        while self._aside and room > 0:
            inbox, batch = self._aside.popleft()
            if self._waiting.get(inbox) is batch and batch.needs_sync:
                heapq.heappush(self._due, (max(now, batch.due), inbox))
                room -= 1

    def done(self, batch: PendingBatch, now: float) -> None:
        """A letter was published, or what failed of it was appended to the stream again."""
        inbox = batch.inbox
        del self._under_way[inbox]
        self._open[batch.generation] -= 1
        self._last[inbox] = now
        if batch.sync is not None:
            self._last_sync[inbox] = now
        if waiting := self._waiting.get(inbox):
            self._keep_distance(waiting)

    def finished(self) -> list[int]:
        """Generations of which nothing waits, and nothing of any older one either; each is told once."""
        done = []
        for generation, count in self._open.items():
            if count:
                break
            done.append(generation)
        for generation in done:
            del self._open[generation]
        return done

    def forget(self, before: float) -> None:
        """Drop the times of inboxes not written to since; call it now and then."""
        for times in (self._last, self._last_sync, self._asked):
            for inbox in [inbox for inbox, at in times.items() if at < before]:
                del times[inbox]

    def _add_sync(self, notice: SyncNotification, now: float) -> None:
        inbox = notice.user
        if (
            notice.reason == "join"
            and now - self._asked.get(inbox, -SYNC_SUPPRESSION_SECONDS) < SYNC_SUPPRESSION_SECONDS
        ):
            return
        if notice.reason == "asked":
            self._asked[inbox] = now
        batch = self._waiting.get(inbox) or self._letter(inbox, now)
        batch.due = min(batch.due, now)
        batch.put_sync(notice)
        self._keep_distance(batch)

    def _letter(self, inbox: str, now: float, window: float = 0.0) -> PendingBatch:
        due = now + window
        batch = PendingBatch(inbox, self._generation, due, began=now)
        if window:
            self._patient.append(batch)
        self._waiting[inbox] = batch
        self._open[self._generation] += 1
        last = self._last.get(inbox)
        if last is not None and due < last + self._pace.distance:
            batch.due = last + self._pace.distance
        heapq.heappush(self._due, (batch.due, inbox))
        return batch

    def _keep_distance(self, batch: PendingBatch) -> None:
        """Plan a letter again, not too soon after the last one or, with a sync, after the last sync."""
        inbox = batch.inbox
        if inbox in self._last:
            batch.due = max(batch.due, self._last[inbox] + self._pace.distance)
        if batch.sync is not None and inbox in self._last_sync:
            batch.due = max(batch.due, self._last_sync[inbox] + self._pace.sync_distance)
        heapq.heappush(self._due, (batch.due, inbox))


SYNC_SUPPRESSION_SECONDS = 15.0
"""Seconds in which the server's own sync at a join is left out after one that the client asked for."""
