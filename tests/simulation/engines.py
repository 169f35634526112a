"""The engines, modelled: PubNub's presence, the graph as atomic writes and reads, streams that outlive a crash."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from graph_service.model.model import ChangedPair, CommitResult, End, PresenceSnapshot
from pubnub_bridge.debounce.debouncer import Change
from pubnub_bridge.model.presence_event import PresenceEvent
from tests.simulation.rules import Rules

CACHE = 3000
"""Milliseconds that Here Now may be old."""


@dataclass
class PubNub:
    """Who is present in truth, and the events that tell of it."""

    users: tuple[str, ...]
    now: int = 1_000_000
    present: dict[str, bool] = field(default_factory=dict)
    events: list[PresenceEvent] = field(default_factory=list)
    history: list[tuple[int, dict[str, bool]]] = field(default_factory=list)
    lost: bool = False
    """Whether an event was lost, so that only a reconcile can tell."""

    def __post_init__(self) -> None:
        self.present = dict.fromkeys(self.users, False)
        self._remember()

    def change(self, user: str, online: bool) -> None:
        """A join or leave, told of at once."""
        self.present[user] = online
        self.events.append(PresenceEvent(user, online, self.now, 0, "join" if online else "leave"))
        self._remember()

    def here_now(self, age: int) -> dict[str, bool]:
        """Who is present, by a cache that may be `age` old."""
        moment = self.now - min(age, CACHE)
        return next(state for at, state in reversed(self.history) if at <= moment)

    def _remember(self) -> None:
        self.history.append((self.now if len(self.history) else 0, dict(self.present)))


@dataclass
class Person:
    """One node of the graph."""

    online: bool = False
    at: int = 0
    invisible: bool = False
    hidden_from: int = 0


@dataclass
class Reading:
    """Row 7 under way: each friend is seen at an instant of its own."""

    user: str
    ts: int
    left: list[str]
    own: Person
    friends: int
    found: list[tuple[str, bool]] = field(default_factory=list)


@dataclass
class GraphModel:
    """Flags, friendships, blocks and the outbox, with the clock of a real server: coarse, and once stepped back."""

    users: tuple[str, ...]
    rules: Rules
    people: dict[str, Person] = field(default_factory=dict)
    friends: set[frozenset[str]] = field(default_factory=set)
    blocks: set[tuple[str, str]] = field(default_factory=set)
    outbox: dict[int, tuple[str, str, bool]] = field(default_factory=dict)
    ended: dict[frozenset[str], int] = field(default_factory=dict)
    """When a friendship ended, by the graph's clock; for the privacy rule."""
    clock: int = 1_000_000
    coarse: int = 0
    """2: reads, then one commit of flags, then reads share one stamp; 1: its commit is over; 0: every statement ticks."""
    nodes: int = 0
    replica: dict[str, Person] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people = {user: Person() for user in self.users}
        self.copy()

    def copy(self) -> None:
        """A replica catches up."""
        self.replica = {user: replace(person) for user, person in self.people.items()}

    def write_flags(self, changes: list[Change]) -> CommitResult:
        """Row 6, atomically."""
        self.coarse = max(0, self.coarse - 1)
        self.clock += not self.coarse
        words = ("changed", "equal", "older", "flipped", "hidden")
        sets: dict[str, set[str]] = {word: set() for word in words}
        for change in changes:
            person = self.people[change.user]
            if change.at < person.at and self.rules.graph_refuses_older:
                sets["older"].add(change.user)
                continue
            sets["equal" if change.at == person.at else "changed"].add(change.user)
            if person.online != change.online:
                sets["flipped"].add(change.user)
            person.online, person.at = change.online, change.at
            if person.invisible and change.at > person.hidden_from:
                sets["hidden"].add(change.user)
        changed, equal, older, flipped, hidden = (frozenset(sets[word]) for word in words)
        return CommitResult(
            changed=changed, duplicate=equal, stale=older, unknown=frozenset(), flipped=flipped, hidden=hidden
        )

    def begin(self, user: str) -> Reading:
        """Row 7 begins: its clock is taken."""
        self.clock += not self.coarse
        people = self.people if self.rules.reads_from_the_writer else self.replica
        others = sorted(next(iter(pair - {user})) for pair in self.friends if user in pair)
        own = people[user]
        return Reading(user, self.clock, others, replace(own), len(others))

    def look(self, reading: Reading) -> None:
        """Row 7 sees one more friend, as that friend is now."""
        friend = reading.left.pop(0)
        people = self.people if self.rules.reads_from_the_writer else self.replica
        if people[friend].online and self.are_friends(reading.user, friend):
            reading.found.append((friend, people[friend].invisible))

    def told(self, reading: Reading) -> PresenceSnapshot:
        """Row 7's answer."""
        own = reading.own
        return PresenceSnapshot(
            user=reading.user,
            name=reading.user,
            online=own.online and not own.invisible,
            invisible=own.invisible,
            present=own.online,
            presence_at=own.at,
            last_seen=own.hidden_from if own.invisible else own.at,
            online_friends=[friend for friend, _ in reading.found],
            visible_friends=[friend for friend, invisible in reading.found if not invisible],
            total_friends=reading.friends,
            ts=reading.ts,
        )

    def are_friends(self, a: str, b: str) -> bool:
        """Whether an edge stands between the two."""
        return frozenset((a, b)) in self.friends

    def befriend(self, a: str, b: str) -> None:
        """A new friendship, unless one has blocked the other."""
        if not self.are_friends(a, b) and not {(a, b), (b, a)} & self.blocks:
            self.friends.add(frozenset((a, b)))
            self._changed(a, b, friends=True)

    def unfriend(self, a: str, b: str) -> None:
        """An end."""
        if self.are_friends(a, b):
            self.friends.discard(frozenset((a, b)))
            self._changed(a, b, friends=False)
            self.ended[frozenset((a, b))] = self.clock

    def block(self, a: str, b: str) -> None:
        """An end that lasts."""
        self.unfriend(a, b)
        self.blocks.add((a, b))

    def hide(self, user: str, invisible: bool) -> None:
        """A choice of visibility."""
        person = self.people[user]
        person.invisible, person.hidden_from = invisible, person.at
        if person.online:
            self._changed(user, user, friends=False)

    def pair(self, node: int) -> ChangedPair:
        """One outbox node with what stands now, and one clock."""
        a, b, was = self.outbox[node]
        friends = self.are_friends(a, b) if self.rules.relation_from_the_read else was
        return ChangedPair(
            node=str(node), a=self._end(a), b=self._end(b), friends=friends, since=0, ts=self.clock
        )

    def done(self, node: int) -> None:
        """Delete by id."""
        pair = self.outbox.pop(node, None)
        if pair and not self.rules.outbox_deleted_by_id:
            self.outbox = {n: p for n, p in self.outbox.items() if p[:2] != pair[:2]}

    def _changed(self, a: str, b: str, friends: bool) -> None:
        self.clock += 1
        self.nodes += 1
        self.outbox[self.nodes] = (min(a, b), max(a, b), friends)

    def _end(self, user: str) -> End:
        person = self.people[user]
        return End(
            id=user,
            exists=True,
            name=user,
            present=person.online,
            invisible=person.invisible,
            presence_at=person.at,
            last_seen=person.at,
            asked=False,
            blocked=False,
        )


@dataclass
class Stream:
    """Entries by rising id; survives any crash of its readers."""

    entries: dict[str, bytes] = field(default_factory=dict)
    last: int = 0

    def append(self, body: bytes) -> None:
        """One more entry."""
        self.last += 1
        self.entries[f"{self.last:06}"] = body

    def after(self, place: str, count: int) -> list[tuple[str, bytes]]:
        """The entries behind a place."""
        return [(i, body) for i, body in self.entries.items() if i > place][:count]

    def delete(self, ids: list[str]) -> None:
        """Forget entries."""
        for one in ids:
            self.entries.pop(one, None)
