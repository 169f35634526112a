"""The hold (row 4 of the walk): what was seen becomes settled once it has lasted. Pure; one object a partition.

Knows who is settled online, what waits for its deadline, and which entries of the seen stream are still needed.
Knows no clock, no stream and no graph. All times are milliseconds by PubNub's clock, so a replay of the same
entries decides the same. The rules, each forced by a counterexample of the simulation:

- an older event than known is nothing new; its entry lives until the newer one is in the graph;
- a deadline starts when the state first differs and is not moved by repeats;
- a flap, or a repeat with a newer time, is written to the graph too, but friends are not told of it;
- entries read again at a take-over are always written and told;
- who is taken for settling counts as settled in the new state from that moment.

In a storm the leaves of some shards wait longer: only deadlines move, so none of these rules knows of storms.
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
    """Milliseconds that a new state must last, by what was seen."""

    online: int = 5000
    leave: int = 5000
    timeout: int = 5000

    def of(self, one: PresenceEvent | Change) -> int:
        """The hold of one event, or of the change that it began."""
        if one.online:
            return self.online
        return self.timeout if one.reason == "timeout" else self.leave


@dataclass(slots=True)
class Change:
    """One user's state on its way into the graph, and the entries that are done once it is there."""

    user: str
    online: bool
    at: int
    shard: int
    reason: str
    """The presence action that began it."""
    due: int
    """The deadline; for a flap or repeat it is already past."""
    tell: bool
    """False for a flap or a repeat: friends are told only where the graph says that its flag flipped."""
    again: bool = False
    """An entry of it was read again at a take-over, or the write was tried before: told in any case."""
    entries: list[str] = field(default_factory=list)
    began: int = 0
    """When the state first differed: a repeat moves `at`, never this."""
    ready: int = 0
    """Of a flap or a repeat: since when it, or what it includes, could have been written."""

    @property
    def event_id(self) -> str:
        """The id that the change keeps to the inbox."""
        return event_id(self.user, self.at)


@dataclass(slots=True)
class DebounceResult:
    """What one entry led to, beside the deadlines."""

    arrived: list[str] = field(default_factory=list)
    """Users whose join followed an absence, held or settled: they get friends.sync at once."""
    doubtful: list[PresenceEvent] = field(default_factory=list)
    """Same time, different states: to be looked up before anything is decided."""
    flaps: int = 0
    flapped: list[str] = field(default_factory=list)
    """Whose change was undone inside the hold."""
    repeats: int = 0
    moved: list[StateTransition] = field(default_factory=list)
    """What began to differ from the settled state, and what was undone by a flap."""


class Debouncer:
    """The users of one partition."""

    def __init__(self, times: DebounceTimes | None = None) -> None:
        self._times = times or DebounceTimes()
        self._online: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._waiting: dict[str, Change] = {}
        self._ready: dict[str, Change] = {}
        self._taken: dict[str, Change] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._needed: dict[str, int] = {}
        self._patient: Collection[int] = ()
        self._longest = 0
        self.away: Counter[int] = Counter()
        """Leaves that wait for their deadline, by shard."""
        self.begins = 0
        """Nothing is taken before this moment."""
        self._finished: deque[str] = deque()

    def __len__(self) -> int:
        """How many users wait for a deadline or a write."""
        return len(self._waiting) + len(self._ready) + len(self._taken)

    @property
    def online(self) -> Mapping[str, int]:
        """Who counts as settled online, with the newest time known."""
        return self._online

    @property
    def oldest_due(self) -> int | None:
        """The deadline of the oldest change not yet in the graph."""
        dues = [change.due for some in (self._ready, self._taken) for change in some.values()]
        first = self._next_waiting()
        return min([*dues, *([] if first is None else [first])], default=None)

    def load(self, online: Mapping[str, int]) -> None:
        """Begin with who is flagged online in the graph."""
        self._online = dict(online)

    def begin_at(self, moment: int) -> None:
        """Take nothing before this moment: what PubNub told since the last owner's poll is awaited first."""
        self.begins = moment

    def extend(self, shards: Collection[int], hold: int) -> None:
        """From now on leaves of these shards wait `hold` milliseconds, those waiting included; all others as ever."""
        if (shards, hold) != (self._patient, self._longest):
            self._patient, self._longest = shards, hold
            for change in self._waiting.values():
                self._plan(change)

    def see(self, seen: Sequence[PresenceEvent], entry: str, again: bool = False) -> DebounceResult:
        """Take one entry of the stream; `again` where it may have been acted on before a take-over."""
        noticed = DebounceResult()
        self._needed[entry] = 1
        for event in seen:
            self._see(event, entry, again, noticed)
        self._let_go([entry])
        return noticed

    def observed(self, user: str) -> bool | None:
        """What was seen of a user and is not in the graph yet; None where nothing is on its way."""
        change = self._unwritten(user)
        return None if change is None else change.online

    def next_due(self) -> int | None:
        """The next moment at which `take` has something, maybe past; None for never."""
        if any(user not in self._taken for user in self._ready):
            return self.begins
        due = self._next_waiting()
        return None if due is None else max(due, self.begins)

    def take(self, now: int, limit: int) -> list[Change]:
        """Up to `limit` changes to be written now, longest due first. Each must be given back to `resolved`."""
        taken: list[Change] = []
        if now < self.begins:
            return taken
        free = (change for change in self._ready.values() if change.user not in self._taken)
        ready = deque(islice(free, limit))
        while len(taken) < limit:
            due = self._next_waiting()
            if ready and (due is None or ready[0].ready <= due):
                change = self._ready.pop(ready.popleft().user)
            elif due is None or due > now:
                break
            elif (change := self._fallen_due()).user in self._taken or change.user in self._ready:
                self._make_ready(change)
                continue
            else:
                self._set(change.user, change.online, change.at)
            self._taken[change.user] = change
            taken.append(change)
        return taken

    def resolved(self, change: Change, present: tuple[bool, int] | None = None) -> None:
        """The graph holds a time not older than the change's; `present` is its state where that is another one."""
        self._taken.pop(change.user, None)
        if present is not None and change.user not in self._ready:
            self._set(change.user, *present)
        self._let_go(change.entries)

    def finished(self) -> list[str]:
        """Entries that nobody needs any more, each told once."""
        done = list(self._finished)
        self._finished.clear()
        return done

    def looked_up(self, entry: str) -> None:
        """A doubt of this entry is settled: what was found out stands in the stream."""
        self._let_go([entry])

    def confirmed(self, change: Change, at: int) -> None:
        """A leave that was taken turned out to be one device of several: the user is present, as of `at`."""
        change.online, change.tell, change.at = True, False, max(at, change.at + 1)
        if change.user not in self._ready:
            self._set(change.user, True, change.at)

    def _see(self, event: PresenceEvent, entry: str, again: bool, noticed: DebounceResult) -> None:
        known = self._unwritten(event.user)
        newest = known.at if known else self._newest(event.user)
        state = known.online if known else event.user in self._online
        if event.at == newest and event.online != state:
            self._needed[entry] += 1
            noticed.doubtful.append(event)
        elif event.at > newest or (event.at == newest and again and not known):
            self._newer(event, entry, again, noticed)
        elif known:
            self._need(known, entry, again)

    def _newer(self, event: PresenceEvent, entry: str, again: bool, noticed: DebounceResult) -> None:
        waiting = self._waiting.get(event.user)
        if waiting and waiting.online == event.online:
            self._unwait(event.user)
            waiting.at, waiting.shard = event.at, event.shard
            self._wait(waiting)
            self._need(waiting, entry, again)
            noticed.repeats += 1
        elif event.online == (event.user in self._online):
            self._back(event, entry, again, noticed)
        else:
            change = Change(event.user, event.online, event.at, event.shard, event.reason, 0, tell=True)
            change.began = event.at
            self._need(change, entry, again)
            if waiting:  # the graph has overruled what it was compared with
                _include(waiting, change)
                self._unwait(event.user)
            self._wait(change)
            self._plan(change)
            noticed.moved.append(StateTransition(event.shard, not event.online, event.at))
            if event.online:
                noticed.arrived.append(event.user)

    def _back(self, event: PresenceEvent, entry: str, again: bool, noticed: DebounceResult) -> None:
        """The settled state once more: a flap where another waited, else a repeat. Written, not told."""
        change = Change(event.user, event.online, event.at, event.shard, event.reason, event.at, tell=False)
        self._need(change, entry, again)
        if waiting := self._unwait(event.user):
            noticed.moved.append(
                StateTransition(waiting.shard, not waiting.online, waiting.began, undone=True)
            )
            noticed.flaps += 1
            noticed.flapped.append(event.user)
            if event.online:
                noticed.arrived.append(event.user)
            _include(waiting, change)
        else:
            noticed.repeats += 1
        self._make_ready(change)

    def _make_ready(self, change: Change) -> None:
        """Write it at the next turn; what was ready before is included in it, and gives it its place in the row.

        At its end, who flaps faster than the row moves would never be written.
        """
        change.ready = change.due
        if earlier := self._ready.get(change.user):
            _include(earlier, change)
            change.tell |= earlier.tell
            change.ready = earlier.ready
        self._set(change.user, change.online, change.at)
        self._ready[change.user] = change

    def _plan(self, change: Change) -> None:
        """Set the deadline of a change that waits; an earlier one of it is void."""
        hold = self._times.of(change)
        if not change.online and change.shard in self._patient:
            hold = max(hold, self._longest)
        if change.due != change.began + hold:
            change.due = change.began + hold
            heapq.heappush(self._deadlines, (change.due, change.user))

    def _wait(self, change: Change) -> None:
        self._waiting[change.user] = change
        if not change.online:
            self.away[change.shard] += 1

    def _unwait(self, user: str) -> Change | None:
        change = self._waiting.pop(user, None)
        if change is not None and not change.online:
            self.away[change.shard] -= 1
        return change

    def _fallen_due(self) -> Change:
        """The change that `_next_waiting` told of; it waits no longer."""
        change = self._waiting[heapq.heappop(self._deadlines)[1]]
        self._unwait(change.user)
        return change

    def _unwritten(self, user: str) -> Change | None:
        """The newest change of a user that is not in the graph yet."""
        return self._waiting.get(user) or self._ready.get(user) or self._taken.get(user)

    def _newest(self, user: str) -> int:
        return self._online.get(user, self._gone.get(user, -1))

    def _set(self, user: str, online: bool, at: int) -> None:
        (self._gone if online else self._online).pop(user, None)
        (self._online if online else self._gone)[user] = at
        while len(self._gone) > MAX_REMEMBERED_LEAVES:
            del self._gone[next(iter(self._gone))]

    def _next_waiting(self) -> int | None:
        while self._deadlines:
            due, user = self._deadlines[0]
            change = self._waiting.get(user)
            if change is not None and change.due == due:
                return due
            heapq.heappop(self._deadlines)
        return None

    def _need(self, change: Change, entry: str, again: bool) -> None:
        change.again |= again
        if not change.entries or change.entries[-1] != entry:
            change.entries.append(entry)
            self._needed[entry] += 1

    def _let_go(self, entries: Sequence[str]) -> None:
        for entry in entries:
            self._needed[entry] -= 1
            if not self._needed[entry]:
                del self._needed[entry]
                self._finished.append(entry)


def _include(earlier: Change, change: Change) -> None:
    earlier.entries.extend(change.entries)
    change.entries = earlier.entries
    change.again |= earlier.again
