"""Debounce presence per user: a change is committed only after it has lasted the debounce time.

Pure: no clock, no I/O; times are PubNub milliseconds, so replaying the presence log reproduces every decision.
Knows who is settled online, which changes are pending, and which log entries are still needed. Invariants, each
forced by a counterexample of the simulation:

- an event older than what is known decides nothing; its entry is needed until the newer one is in the graph;
- the deadline starts at the first event that differs, and repeats do not move it;
- a flap, or a repeat with a newer time, is committed too, but friends are not notified of it;
- redelivered entries are always committed and announced;
- a change that is taken counts as settled from that moment on.

In a storm the leaves of some shards are debounced longer: only deadlines move, so no invariant depends on storms.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pubnub_bridge.debounce.storm_detector import StateTransition
from pubnub_bridge.model.presence_event import PresenceEvent, event_id

MAX_REMEMBERED_LEAVES = 10_000
"""Users of a partition whose last leave is remembered, so that its repeats need no write."""


@dataclass(frozen=True, slots=True)
class DebounceTimes:
    """Milliseconds that a new state must last, by the event that began it."""

    online: int = 5000
    leave: int = 5000
    timeout: int = 5000

    def of(self, one: PresenceEvent | Change) -> int:
        """The debounce time of one event, or of the change that it began."""
        if one.online:
            return self.online
        return self.timeout if one.reason == "timeout" else self.leave


@dataclass(slots=True)
class Change:
    """One user's state on its way into the graph, and the log entries that are resolved once it is there."""

    user: str
    online: bool
    at: int
    shard: int
    reason: str
    """The presence action that began it."""
    due: int
    """The deadline; for a flap or repeat it is already past."""
    notify: bool
    """False for a flap or a repeat: friends are notified only where the graph says that its flag flipped."""
    redelivered: bool = False
    """An entry of it was read again at a take-over, or the commit was tried before: announced in any case."""
    entries: list[str] = field(default_factory=list)
    began: int = 0
    """When the state first differed: a repeat moves `at`, never this."""
    ready_at: int = 0
    """Of a flap or a repeat: since when it, or what it includes, could have been committed."""

    @property
    def event_id(self) -> str:
        """The id that the change keeps to the inbox."""
        return event_id(self.user, self.at)


@dataclass(slots=True)
class DebounceResult:
    """What one log entry led to, apart from deadlines."""

    joined: list[str] = field(default_factory=list)
    """Users whose join followed an absence, pending or settled: they get friends.sync at once."""
    conflicts: list[PresenceEvent] = field(default_factory=list)
    """Same time, different states: looked up before anything is decided."""
    flaps: int = 0
    flapped: list[str] = field(default_factory=list)
    """Users whose pending change was undone."""
    repeats: int = 0
    transitions: list[StateTransition] = field(default_factory=list)
    """What began to differ from the settled state, and what a flap undid."""


class Debouncer:
    """The users of one partition."""

    #           differs             deadline passed              committed and enqueued
    # settled ──────────► pending ───────────────────► in flight ──────────────────────► resolved
    #    │                   │  │                          ▲
    #    │ repeat            │  │ due, but the user has    │ next batch
    #    │              flap │  │ one in flight or ready   │
    #    └───────────────────┴──┴──────────► ready ────────┘
    #
    # A user can have one change in each of pending, ready and in flight. A flap replaces the pending change and takes
    # over its entries; a second ready change takes over the first one's entries and its place in the queue.

    def __init__(self, *, times: DebounceTimes) -> None:
        self._times = times
        self._online: dict[str, int] = {}
        self._offline: dict[str, int] = {}
        self._pending: dict[str, Change] = {}
        self._ready: dict[str, Change] = {}
        self._in_flight: dict[str, Change] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._needed: dict[str, int] = {}
        """How many changes and conflicts need a log entry."""
        self._finished: deque[str] = deque()
        self._extended_shards: Collection[int] = ()
        self._extended_milliseconds = 0
        self.pending_leaves: Counter[int] = Counter()
        """Leaves that wait for their deadline, by shard."""
        self.begins_at = 0
        """Nothing is taken before this moment."""

    def __len__(self) -> int:
        """How many changes are not resolved."""
        return len(self._pending) + len(self._ready) + len(self._in_flight)

    @property
    def online(self) -> Mapping[str, int]:
        """Who is settled online, with the newest time known."""
        return self._online

    @property
    def oldest_due(self) -> int | None:
        """The deadline of the oldest change that is not in the graph."""
        dues = [change.due for some in (self._ready, self._in_flight) for change in some.values()]
        first = self._next_deadline()
        return min([*dues, *([] if first is None else [first])], default=None)

    def load(self, online: Mapping[str, int]) -> None:
        """Begin with who is flagged online in the graph."""
        self._online = dict(online)

    def begin_at(self, moment: int) -> None:
        """Take nothing before this moment: what PubNub reported since the last owner's poll comes first."""
        self.begins_at = moment

    def extend(self, shards: Collection[int], milliseconds: int) -> None:
        """From now on debounce leaves of these shards for so long, the pending ones included; all others as usual."""
        if (shards, milliseconds) != (self._extended_shards, self._extended_milliseconds):
            self._extended_shards, self._extended_milliseconds = shards, milliseconds
            for change in self._pending.values():
                self._schedule(change)

    def add(
        self, events: Sequence[PresenceEvent], entry: str, *, redelivered: bool = False
    ) -> DebounceResult:
        """Take one log entry; `redelivered` where it may have been acted on before a take-over."""
        result = DebounceResult()
        self._needed[entry] = 1
        for event in events:
            self._add(event, entry, redelivered, result)
        self._release([entry])
        return result

    def observed(self, user: str) -> bool | None:
        """What PubNub reported of a user and is not in the graph yet; None where nothing is."""
        change = self._newest_change(user)
        return None if change is None else change.online

    def next_due(self) -> int | None:
        """The next moment at which `take` has something, maybe past; None for never."""
        if any(user not in self._in_flight for user in self._ready):
            return self.begins_at
        due = self._next_deadline()
        return None if due is None else max(due, self.begins_at)

    def take(self, now: int, limit: int) -> list[Change]:
        """Up to `limit` changes to commit now, longest due first. Each must be given to `resolved` once."""
        taken: list[Change] = []
        if now < self.begins_at:
            return taken
        free = (change for change in self._ready.values() if change.user not in self._in_flight)
        ready = deque(islice(free, limit))
        while len(taken) < limit:
            due = self._next_deadline()
            if ready and (due is None or ready[0].ready_at <= due):
                change = self._ready.pop(ready.popleft().user)
            elif due is None or due > now:
                break
            elif (change := self._pop_due()).user in self._in_flight or change.user in self._ready:
                self._make_ready(change)
                continue
            else:
                # Settled from here on: an event that comes during the commit is compared with the new state.
                self._settle(change.user, change.online, change.at)
            self._in_flight[change.user] = change
            taken.append(change)
        return taken

    def resolved(self, change: Change, present: tuple[bool, int] | None = None) -> None:
        """The graph holds a time not older than the change's; `present` is its state where that is another one."""
        del self._in_flight[change.user]
        if present is not None and change.user not in self._ready:
            self._settle(change.user, *present)
        self._release(change.entries)

    def finished(self) -> list[str]:
        """Entries that nothing needs any more, each returned once."""
        done = list(self._finished)
        self._finished.clear()
        return done

    def looked_up(self, entry: str) -> None:
        """A conflict of this entry is resolved: the look-up's result is in the log."""
        self._release([entry])

    def still_present(self, change: Change, at: int) -> None:
        """A leave that was taken was one device of several: the user is present, as of `at`."""
        change.online, change.notify, change.at = True, False, max(at, change.at + 1)
        if change.user not in self._ready:
            self._settle(change.user, True, change.at)

    def _add(self, event: PresenceEvent, entry: str, redelivered: bool, result: DebounceResult) -> None:
        known = self._newest_change(event.user)
        newest = known.at if known else self._settled_at(event.user)
        online = known.online if known else event.user in self._online
        if event.at == newest and event.online != online:
            self._needed[entry] += 1
            result.conflicts.append(event)
        # Read again at the last owner's `at`: it may have died between the commit and the notification.
        elif event.at > newest or (event.at == newest and redelivered and not known):
            self._add_newer(event, entry, redelivered, result)
        elif known:
            self._need(known, entry, redelivered)

    def _add_newer(self, event: PresenceEvent, entry: str, redelivered: bool, result: DebounceResult) -> None:
        pending = self._pending.get(event.user)
        if pending and pending.online == event.online:
            # Only `at` moves: a deadline that a repeat moved would let a user that is repeated often wait without end.
            self._remove_pending(event.user)
            pending.at, pending.shard = event.at, event.shard
            self._add_pending(pending)
            self._need(pending, entry, redelivered)
            result.repeats += 1
        elif event.online == (event.user in self._online):
            self._add_settled_again(event, entry, redelivered, result)
        else:
            change = Change(event.user, event.online, event.at, event.shard, event.reason, 0, notify=True)
            change.began = event.at
            self._need(change, entry, redelivered)
            if pending:  # the graph has overruled the state that it differed from
                _include(pending, change)
                self._remove_pending(event.user)
            self._add_pending(change)
            self._schedule(change)
            result.transitions.append(StateTransition(event.shard, not event.online, event.at))
            if event.online:
                result.joined.append(event.user)

    def _add_settled_again(
        self, event: PresenceEvent, entry: str, redelivered: bool, result: DebounceResult
    ) -> None:
        """A flap where another state was pending, else a repeat."""
        change = Change(event.user, event.online, event.at, event.shard, event.reason, event.at, notify=False)
        self._need(change, entry, redelivered)
        if pending := self._remove_pending(event.user):
            result.transitions.append(
                StateTransition(pending.shard, not pending.online, pending.began, undone=True)
            )
            result.flaps += 1
            result.flapped.append(event.user)
            if event.online:
                result.joined.append(event.user)
            _include(pending, change)
        else:
            result.repeats += 1
        self._make_ready(change)

    def _make_ready(self, change: Change) -> None:
        """Commit it with the next batch; what was ready before is included, and gives it its place in the queue.

        At the end of the queue, a user that flaps faster than the queue moves would never be committed.
        """
        change.ready_at = change.due
        if earlier := self._ready.get(change.user):
            _include(earlier, change)
            change.notify |= earlier.notify
            change.ready_at = earlier.ready_at
        self._settle(change.user, change.online, change.at)
        self._ready[change.user] = change

    def _schedule(self, change: Change) -> None:
        milliseconds = self._times.of(change)
        if not change.online and change.shard in self._extended_shards:
            milliseconds = max(milliseconds, self._extended_milliseconds)
        if change.due != change.began + milliseconds:
            change.due = change.began + milliseconds
            heapq.heappush(self._deadlines, (change.due, change.user))

    def _add_pending(self, change: Change) -> None:
        self._pending[change.user] = change
        if not change.online:
            self.pending_leaves[change.shard] += 1

    def _remove_pending(self, user: str) -> Change | None:
        change = self._pending.pop(user, None)
        if change is not None and not change.online:
            self.pending_leaves[change.shard] -= 1
        return change

    def _next_deadline(self) -> int | None:
        while self._deadlines:
            due, user = self._deadlines[0]
            change = self._pending.get(user)
            if change is not None and change.due == due:
                return due
            heapq.heappop(self._deadlines)  # stale: the change flapped, or has another deadline by now
        return None

    def _pop_due(self) -> Change:
        """The change whose deadline `_next_deadline` returned."""
        change = self._pending[heapq.heappop(self._deadlines)[1]]
        self._remove_pending(change.user)
        return change

    def _newest_change(self, user: str) -> Change | None:
        return self._pending.get(user) or self._ready.get(user) or self._in_flight.get(user)

    def _settled_at(self, user: str) -> int:
        return self._online.get(user, self._offline.get(user, -1))

    def _settle(self, user: str, online: bool, at: int) -> None:
        (self._offline if online else self._online).pop(user, None)
        (self._online if online else self._offline)[user] = at
        while len(self._offline) > MAX_REMEMBERED_LEAVES:
            del self._offline[next(iter(self._offline))]

    def _need(self, change: Change, entry: str, redelivered: bool) -> None:
        change.redelivered |= redelivered
        if not change.entries or change.entries[-1] != entry:
            change.entries.append(entry)
            self._needed[entry] += 1

    def _release(self, entries: Sequence[str]) -> None:
        for entry in entries:
            self._needed[entry] -= 1
            if not self._needed[entry]:
                del self._needed[entry]
                self._finished.append(entry)


def _include(earlier: Change, change: Change) -> None:
    earlier.entries.extend(change.entries)
    change.entries = earlier.entries
    change.redelivered |= earlier.redelivered
