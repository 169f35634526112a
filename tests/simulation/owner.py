"""One bridge process: the real pure files, moved one row at a time, so that a crash may come between any two."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from graph_service.model.model import CommitResult, PresenceSnapshot
from pubnub_bridge.debounce.committer import add_notifications, users_to_notify
from pubnub_bridge.debounce.debouncer import Change, Debouncer, DebounceTimes
from pubnub_bridge.debounce.storm_detector import StormThresholds
from pubnub_bridge.fanout.batcher import Batcher, BatchWindow, PendingBatch
from pubnub_bridge.ingest.parser import MAX_AHEAD_MILLISECONDS
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import (
    NotificationBatch,
    SyncNotification,
    decode,
    encode,
    presence_event,
    sync_of,
)
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.store import presence_log
from tests.simulation import mutants
from tests.simulation.engines import GraphModel, PubNub, Reading, Stream
from tests.simulation.rules import Rules

HOLD = 5000
STORM = StormThresholds(share=0.5, least=2, span=4000, hold=15_000, window=3.0)
"""Two of three people at once are a storm."""
TINY = 512 + 1
"""Budget of a sync's part: one friend a part."""


@dataclass
class Outside:
    """What outlives a process."""

    pubnub: PubNub
    graph: GraphModel
    rules: Rules
    seen: Stream = field(default_factory=Stream)
    inbox: Stream = field(default_factory=Stream)
    cursor: int = 0
    highest: int = 0
    stepped_back: bool = False
    """Whether the graph's clock ever went back: then a read must be newer than all told, not only as new."""
    publish: Callable[[str, bytes], None] = lambda _inbox, _body: None
    where_now: list[tuple[str, str]] = field(default_factory=list)
    marks: StormThresholds = field(default_factory=lambda: replace(STORM, on=False))


@dataclass
class Batch:
    """A settling under way."""

    changes: list[Change]
    step: str = "commit"
    settled: CommitResult | None = None
    news: list[str] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    told: list[PresenceSnapshot] = field(default_factory=list)
    deleted: bool = False


@dataclass
class Sending:
    """A letter under way."""

    letter: PendingBatch
    reading: Reading | None = None
    bodies: list[bytes] | None = None


class Owner:
    """A process that believes to own the only partition."""

    def __init__(self, outside: Outside) -> None:
        self.out = outside
        self.rules = outside.rules
        self.hold: Debouncer = mutants.hold(self.rules, DebounceTimes(HOLD, HOLD, HOLD))
        graph = outside.graph
        self.hold.load({user: p.at for user, p in graph.people.items() if p.online})
        self.again_until = f"{outside.seen.last:06}"
        self.seen_place = self.inbox_place = ""
        self.coalesce = Batcher(BatchWindow(distance=0.0, sync_distance=0.0))
        self.generations: dict[int, list[str]] = {}
        self.window = 0.0
        self.storms = mutants.storms(self.rules, outside.marks)
        self.admitted = 1
        self.batch: Batch | None = None
        self.sending: Sending | None = None
        self.doubts: list[tuple[PresenceEvent, str]] = []
        self.relation: tuple[int, NotificationBatch] | None = None

    # Rows 1 to 3

    def poll(self) -> bool:
        """Append what PubNub has told since the cursor."""
        events = self.out.pubnub.events[self.out.cursor : self.out.cursor + 3]
        if not events:
            return False
        now = self.out.pubnub.now
        if self.rules.future_is_pulled_back:
            events = [replace(e, at=now) if e.at > now + MAX_AHEAD_MILLISECONDS else e for e in events]
        self.out.cursor += len(events)
        if self.rules.cursor_with_entry:
            self.out.seen.append(presence_log.encode(events))
        else:
            self.lost_if_dead = events
        return True

    lost_if_dead: list[PresenceEvent] | None = None

    def late_append(self) -> bool:
        """Only with the rule taken out: the entry follows the cursor in a second step."""
        if self.lost_if_dead is None:
            return False
        self.out.seen.append(presence_log.encode(self.lost_if_dead))
        self.lost_if_dead = None
        return True

    # Row 4

    def read_seen(self) -> bool:
        """Take one entry into the hold."""
        found = self.out.seen.after(self.seen_place, 1)
        for entry, body in found:
            self.seen_place = entry
            again = self.rules.replay_is_told and entry <= self.again_until
            noticed = self.hold.see(presence_log.decode(body), entry, again)
            for user in noticed.arrived:
                self._owe(user, "join")
            self.doubts += [(one, entry) for one in noticed.doubtful]
            self.storms.saw(noticed.moved)
        self.look_out()
        return bool(found)

    def look_out(self) -> None:
        """Whether a storm begins or ends."""
        self.storms.marks = self.out.marks
        if self.storms.judge(self.out.pubnub.now, {0: len(self.hold.online)}, self.hold.away):
            self.hold.extend(self.storms.patient(0), mutants.longest(self.rules, self.out.marks.hold))

    def look_up(self) -> bool:
        """Where Now for one doubt."""
        if not self.doubts:
            return False
        doubt, entry = self.doubts.pop()
        self._where_now(doubt.user)
        self.hold.looked_up(entry)
        return True

    def _where_now(self, user: str) -> None:
        pubnub = self.out.pubnub
        pubnub.now += 1
        self.out.seen.append(
            presence_log.encode([PresenceEvent(user, pubnub.present[user], pubnub.now, 0, "confirm")])
        )

    # Rows 5 to 8

    def settle(self) -> bool:
        """The next step of the batch under way, or a new one."""
        if self.batch is None:
            self.look_out()
            changes = self.hold.take(self.out.pubnub.now, 2)
            if changes:
                self.batch = Batch(changes)
                if not self.rules.read_after_commit:
                    self.batch.readings = [self.out.graph.begin(change.user) for change in changes]
                    self.batch.step = "look first"
            return bool(changes)
        getattr(self, "_" + self.batch.step.replace(" ", "_"))(self.batch)
        return True

    def _look_first(self, batch: Batch) -> None:
        if not self._look(batch):
            batch.step = "commit"

    def _commit(self, batch: Batch) -> None:
        batch.settled = self.out.graph.write_flags(batch.changes)
        if self.rules.doubt_is_looked_up:
            for user in batch.settled.equal & batch.settled.flipped:
                self._where_now(user)
        batch.news = mutants.to_be_told(self.rules, batch.changes, batch.settled, users_to_notify)
        batch.step = "read" if self.rules.read_after_commit else "append"

    def _read(self, batch: Batch) -> None:
        older = list(batch.settled.older) if batch.settled else []
        batch.readings = [self.out.graph.begin(user) for user in [*batch.news, *older]]
        batch.step = "look"

    def _look(self, batch: Batch) -> bool:
        for reading in batch.readings:
            if reading.left:
                self.out.graph.look(reading)
                return True
        if batch.step == "look":
            if self._clock_is_back(reading.ts for reading in batch.readings):
                batch.step = "read"
            else:
                batch.step = "append"
        return False

    def _append(self, batch: Batch) -> None:
        assert batch.settled is not None
        told = [self.out.graph.told(reading) for reading in batch.readings]
        if not self.rules.read_after_commit:
            flags = {change.user: change for change in batch.changes}
            told = [
                replace(one, online=flags[one.user].online and not one.invisible, present=flags[one.user].online,
                        presence_at=flags[one.user].at, ts=self.out.graph.clock)
                for one in told
            ]  # fmt: skip
        told = mutants.told(self.rules, told, batch.changes, self.out.graph.clock)
        if not self.rules.delete_after_append and not batch.deleted:
            batch.deleted = True
            self._resolve(batch, told)
            self.out.seen.delete(self.hold.finished())
        batch.told = told
        batch.step = "notify"

    def _notify(self, batch: Batch) -> None:
        assert batch.settled is not None
        notifications = NotificationBatch(partition=lambda _user: 0)
        news = [one for one in batch.told if one.user in batch.news]
        add_notifications(
            mutants.audible(self.rules, news), mutants.hidden(self.rules, batch.settled, news), notifications
        )
        mutants.without_syncs(self.rules, notifications)
        self._append_inbox(notifications)
        if self.rules.delete_after_append:
            self._resolve(batch, batch.told)
        self.batch = None

    def _resolve(self, batch: Batch, told: list[PresenceSnapshot]) -> None:
        assert batch.settled is not None
        present = {
            one.user: (one.present, one.presence_at) for one in told if one.user in batch.settled.older
        }
        for change in batch.changes:
            self.hold.resolved(change, present.get(change.user))

    def delete_seen(self) -> bool:
        """Delete what the graph holds."""
        done = self.hold.finished()
        self.out.seen.delete(done)
        return bool(done)

    # Friend changes

    def relay(self) -> bool:
        """Read one outbox node, then append, then delete it: three steps."""
        if self.relation is not None:
            node, notifications = self.relation
            if notifications.by_partition:
                self._append_inbox(notifications)
                notifications.by_partition.clear()
            else:
                self.out.graph.done(node)
                self.relation = None
            return True
        if not self.out.graph.outbox:
            return False
        node = min(self.out.graph.outbox)
        pair = self.out.graph.pair(node)
        notifications = NotificationBatch(partition=lambda _user: 0)
        ts = self._tell_of(pair.a.id, notifications) if pair.alone else pair.ts
        if not self._clock_is_back([ts]):
            if not pair.alone:
                mutants.add_friendship_events(self.rules, pair, notifications)
            self.relation = (node, notifications)
        return True

    def _tell_of(self, user: str, notifications: NotificationBatch) -> int:
        """Who hides or shows up again, as one read says; its clock."""
        reading = self.out.graph.begin(user)
        while reading.left:
            self.out.graph.look(reading)
        told = self.out.graph.told(reading)
        if told.present or self.rules.hiding_is_told_whatever_since:
            notifications.add(presence_event(told), told.online_friends)
        return reading.ts

    # Rows 9 and 10

    def read_inbox(self) -> bool:
        """Take one entry of the inbox stream into the letters."""
        found = self.out.inbox.after(self.inbox_place, 1)
        for entry, body in found:
            self.inbox_place = entry
            window = max(self.window, self.storms.window)
            generation = self.coalesce.add(decode(body), self._seconds(), window)
            self.generations[generation] = [entry]
            if not self.rules.delete_after_publish:
                self.out.inbox.delete([entry])
        return bool(found)

    def send(self, outcome: int) -> bool:
        """The next step of the letter under way, or a new one. Outcome 0 fails, 1 is sent but not heard of."""
        if self.sending is None:
            mutants.overcharge(self.rules, self.coalesce, self.admitted)
            letters = self.coalesce.take(self._seconds(), 1, self.admitted)
            if letters:
                self.sending = self._opened(letters[0])
            return bool(letters)
        sending = self.sending
        if sending.reading is not None:
            self._owed(sending)
        elif sending.bodies:
            self._publish(sending, outcome)
        else:
            self._sent(sending)
        return True

    def _opened(self, letter: PendingBatch) -> Sending:
        if letter.sync is not None and letter.sync.friends is None:
            return Sending(letter, reading=self.out.graph.begin(letter.inbox))
        return Sending(letter, bodies=self._bodies(letter, letter.sync))

    def _owed(self, sending: Sending) -> None:
        assert sending.reading is not None
        if sending.reading.left:
            self.out.graph.look(sending.reading)
        elif self._clock_is_back([sending.reading.ts]):
            sending.reading = self.out.graph.begin(sending.letter.inbox)
        else:
            told = mutants.told(self.rules, [self.out.graph.told(sending.reading)], [], self.out.graph.clock)
            self.out.highest = max(self.out.highest, told[0].ts)
            sending.bodies, sending.reading = self._bodies(sending.letter, sync_of(told[0])), None

    def _bodies(self, letter: PendingBatch, sync: SyncNotification | None) -> list[bytes]:
        events = [(event.ts, event.body) for event in mutants.events(self.rules, letter)]
        bodies = encoding.sync(sync.user, sync.friends or (), sync.total, sync.ts, TINY) if sync else []
        return bodies + (encoding.batches(letter.inbox, events) if events else [])

    def _publish(self, sending: Sending, outcome: int) -> None:
        bodies = sending.bodies or []
        if outcome == 0:
            if self.rules.put_back_what_failed:
                self.out.inbox.append(encode(sending.letter.again(1)))
            bodies.clear()
            return
        self.out.publish(sending.letter.inbox, bodies[0])
        if outcome != 1:
            bodies.pop(0)

    def _sent(self, sending: Sending) -> None:
        self.coalesce.done(sending.letter, self._seconds())
        self.sending = None

    def delete_inbox(self) -> bool:
        """Delete what is published or appended again."""
        done = self.coalesce.finished()
        for generation in done:
            self.out.inbox.delete(self.generations.pop(generation))
        return bool(done)

    # Repairs

    def reconcile(self, age: int, skipped: str = "") -> bool:
        """Here Now against flags; what differs is appended like any other event. Paging may skip someone."""
        pubnub, graph = self.out.pubnub, self.out.graph
        here = pubnub.here_now(age)
        at = pubnub.now - (3000 if self.rules.reconcile_is_backdated else 0)
        found = []
        for user, person in graph.people.items():
            online = here[user] and user != skipped
            if not online and self.rules.absence_is_confirmed:
                online = pubnub.present[user]
            if online != person.online:
                found.append(PresenceEvent(user, online, at, 0, "reconcile"))
        if found:
            self.out.seen.append(presence_log.encode(found))
        return bool(found)

    def reads_lost(self) -> None:
        """The server that was being read from is gone."""
        if (
            self.batch is not None
            and self.batch.step in {"look", "append", "notify"}
            and self.rules.read_after_commit
        ):
            self.batch.step = "read"
        if self.sending is not None and self.sending.reading is not None:
            self.sending.reading = self.out.graph.begin(self.sending.letter.inbox)
        if self.relation is not None and self.relation[1].by_partition:
            self.relation = None

    def _owe(self, user: str, reason: str) -> None:
        self.out.inbox.append(encode([SyncNotification(user, reason=reason)]))

    def _append_inbox(self, notifications: NotificationBatch) -> None:
        for body in notifications.bodies().values():
            for row in json.loads(body):
                self.out.highest = max(self.out.highest, row[2] if row[0] == "sync" else row[3])
            self.out.inbox.append(body)

    def _clock_is_back(self, stamps: object) -> bool:
        """Whether a read must be repeated since the graph's clock stepped back."""
        if not self.rules.clock_never_back:
            return False
        lowest = self.out.highest + self.out.stepped_back
        return any(ts < lowest for ts in stamps)  # type: ignore[attr-defined]

    def _seconds(self) -> float:
        return self.out.pubnub.now / 1000
