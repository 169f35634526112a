"""Neo4j in memory, by query name: writes are atomic, and a read takes its clock first and then looks around.

A read of friends begins, takes its clock and the user's own state, and then sees each friend at a different instant.
So does the read of the outbox. The clock is as a server's: it may stand still from one statement to the next, step
back when another server takes over, and a replica may lag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graph_service.errors import GraphUnavailable
from graph_service.graph import queries
from tests.simulation.gates import Gates
from tests.simulation.loop import Life

Row = dict[str, Any]
RELAY_READS_IN_TWO = False
"""Whether time may pass between the clock of the outbox's read and what it finds. The relay stamps its messages with
a clock that may be older than the commit it found: issue 17."""
NODE_IDS_COME_AGAIN = False
"""Whether the id of a deleted outbox node is given again. The relay deletes by that id alone: issue 17."""


@dataclass
class UserState:
    """One node of the graph."""

    online: bool = False
    at: int = 0
    last_seen: int = 0
    invisible: bool = False
    hidden_from: int = 0


@dataclass
class OutboxNode:
    """A change that waits to be announced."""

    a: str
    b: str
    created: int
    friends: bool
    """Whether the two became friends by it."""


@dataclass
class Reading:
    """One user's read in progress: each friend is read at a different instant."""

    user: str
    ts: int
    own: UserState
    left: list[str]
    total: int
    states: dict[str, UserState]
    online: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def row(self) -> Row:
        """What the query returns."""
        return {
            "id": self.user,
            "name": self.user,
            "present": self.own.online,
            "invisible": self.own.invisible,
            "presence_at": self.own.at,
            "last_seen": self.own.last_seen,
            "online": self.online,
            "hidden": self.hidden,
            "total": self.total,
            "ts": self.ts,
        }


class GraphModel:
    """Flags, friendships, requests, blocks and the outbox."""

    def __init__(self, users: tuple[str, ...], now: Callable[[], int]) -> None:
        self._now = now
        self.states = {user: UserState() for user in users}
        self.friends: set[frozenset[str]] = set()
        self.requests: set[tuple[str, str]] = set()
        self.blocks: set[tuple[str, str]] = set()
        self.outbox: dict[str, OutboxNode] = {}
        self.forgotten: Callable[[OutboxNode], None] = lambda _node: None
        """Called with every outbox node that is deleted."""
        self.related: Callable[[str, str, int], None] = lambda _a, _b, _clock: None
        """Called with every pair whose relation changed, and with the clock of the commit."""
        self.written: Callable[[str, bool, int, bool], None] = lambda _user, _online, _at, _flipped: None
        """Called with every flag that is written, and whether it is another one now."""
        self.hidden: Callable[[str], None] = lambda _user: None
        """Called with who hides or shows up again, after the commit."""
        self.history: dict[str, list[tuple[int, UserState]]] = {user: [(0, UserState())] for user in users}
        """Every state of a user, with the clock at which it was committed."""
        self.clock = 0
        self.skew = 0
        """Microseconds that this server's clock is behind."""
        self.coarse, self.stood_still = 0, False
        """2: reads, then one commit of flags, then reads share one stamp; 1: its commit is over."""
        self._nodes = 0
        self.replica: dict[str, UserState] = {}
        self.copy()

    def copy(self) -> None:
        """A replica catches up."""
        self.replica = {user: replace(state) for user, state in self.states.items()}

    def tick(self) -> int:
        """The clock of the next statement."""
        if not self.coarse:
            self.clock = max(self.clock + 1, self._now() * 1000 - self.skew)
        return self.clock

    def step_back(self, microseconds: int) -> None:
        """Another server takes over, whose clock is behind."""
        self.skew += microseconds
        self.clock = self._now() * 1000 - self.skew

    def stand_still(self) -> None:
        """The clock stands still from the reads before the next commit of flags to those after it."""
        self.tick()
        self.coarse, self.stood_still = 2, True

    # Flags

    def commit(self, rows: list[tuple[str, bool, int, int]]) -> Row:
        """Writes flags that are not older than what stands there."""
        self.coarse = max(0, self.coarse - 1)
        self.tick()
        words: dict[str, list[str]] = {w: [] for w in ("changed", "equal", "older", "flipped", "hidden")}
        for user, online, at, _shard in rows:
            state = self.states.get(user)
            if state is not None:
                self._commit_one(words, user, state, (online, at))
        return dict(words)

    def _commit_one(
        self, words: dict[str, list[str]], user: str, state: UserState, to: tuple[bool, int]
    ) -> None:
        online, at = to
        if at < state.at:
            words["older"].append(user)
            return
        words["equal" if at == state.at else "changed"].append(user)
        if flipped := state.online != online:
            words["flipped"].append(user)
        self.written(user, online, at, flipped)
        if state.invisible and at > state.hidden_from:
            words["hidden"].append(user)
        state.online, state.at = online, at
        state.last_seen = state.last_seen if state.invisible else at
        self._remember(user)

    def hide(self, user: str, invisible: bool) -> bool:
        """A choice of visibility, with its outbox node where it shows."""
        state, clock = self.states[user], self.tick()
        if state.invisible == invisible:
            return False
        state.invisible, state.hidden_from = invisible, state.at if invisible else 0
        if invisible and state.online:
            state.last_seen = self._now()
        self._remember(user)
        self.hidden(user)
        if state.online:
            self._announce(user, user, clock)
        return True

    def begin(self, users: list[str], replica: bool) -> list[Reading]:
        """A read of these users begins: one clock for all."""
        ts, states = self.tick(), self.replica if replica else self.states
        found = []
        for user in users:
            if user in states:
                others = sorted(next(iter(pair - {user})) for pair in self.friends if user in pair)
                found.append(Reading(user, ts, replace(states[user]), others, len(others), states))
        return found

    def look(self, reading: Reading) -> None:
        """The read sees one more friend, as that friend is now."""
        friend = reading.left.pop(0)
        state = reading.states[friend]
        if state.online and self.are_friends(reading.user, friend):
            reading.online.append(friend)
            if state.invisible:
                reading.hidden.append(friend)

    # Friends

    def are_friends(self, a: str, b: str) -> bool:
        """Whether an edge stands between the two."""
        return frozenset((a, b)) in self.friends

    def ask(self, me: str, other: str) -> str:
        """Ask, or accept."""
        clock = self.tick()
        if self.are_friends(me, other):
            return "friends"
        if (me, other) in self.blocks:
            return "blocking"
        if (me, other) in self.requests:
            return "requested"
        accepted = (other, me) in self.requests
        if accepted:
            self.requests.discard((other, me))
            self.friends.add(frozenset((me, other)))
        else:
            self.requests.add((me, other))
        self._announce(me, other, clock)
        return "accepted" if accepted else "asked"

    def unfriend(self, me: str, other: str) -> bool:
        """An end."""
        clock, gone = self.tick(), self.are_friends(me, other)
        if gone:
            self.friends.discard(frozenset((me, other)))
            self._announce(me, other, clock)
        return gone

    def block(self, me: str, other: str) -> bool:
        """An end that lasts."""
        clock = self.tick()
        if (me, other) in self.blocks:
            return False
        gone = self.are_friends(me, other) or bool({(me, other), (other, me)} & self.requests)
        self.friends.discard(frozenset((me, other)))
        self.requests -= {(me, other), (other, me)}
        self.blocks.add((me, other))
        if gone:
            self._announce(me, other, clock)
        return True

    def unblock(self, me: str, other: str) -> bool:
        """Lifts it."""
        self.tick()
        lifted = (me, other) in self.blocks
        self.blocks.discard((me, other))
        return lifted

    # Outbox

    def pairs(self, limit: int, ts: int) -> list[Row]:
        """The oldest outbox nodes, each with what stands now."""
        return [self._pair(node, one, ts) for node, one in sorted(self.outbox.items())[:limit]]

    def forget(self, nodes: list[str]) -> None:
        """Delete by id."""
        for node in nodes:
            if one := self.outbox.pop(node, None):
                self.forgotten(one)

    def _pair(self, node: str, one: OutboxNode, ts: int) -> Row:
        row: Row = {"node": node, "a": one.a, "b": one.b, "friends": self.are_friends(one.a, one.b)}
        for end, me, other in (("a", one.a, one.b), ("b", one.b, one.a)):
            state = self.states[me]
            row |= {
                f"{end}_asked": (me, other) in self.requests,
                f"{end}_blocked": (me, other) in self.blocks,
                f"{end}_name": me,
                f"{end}_present": state.online,
                f"{end}_invisible": state.invisible,
                f"{end}_presence_at": state.at,
                f"{end}_last_seen": state.last_seen,
            }
        return row | {"since": 0, "ts": ts}

    def _announce(self, a: str, b: str, clock: int) -> None:
        self._nodes += 1
        free = next(n for n in range(1, self._nodes + 1) if f"{n:06}" not in self.outbox)
        number = free if NODE_IDS_COME_AGAIN else self._nodes
        self.outbox[f"{number:06}"] = OutboxNode(min(a, b), max(a, b), clock, self.are_friends(a, b))
        if a != b:
            self.related(a, b, clock)

    def _remember(self, user: str) -> None:
        self.history[user].append((self.clock, replace(self.states[user])))


class GraphPort:
    """One process's driver: named queries, as `graph_service`'s client runs them."""

    def __init__(self, model: GraphModel, gates: Gates, life: Life) -> None:
        self._model, self._gates, self._life = model, gates, life
        self._writes: Mapping[str, tuple[str, Callable[..., Any]]] = {
            "write_flags": ("commit", model.commit),
            "visibility": ("visibility", lambda me, invisible: {"changed": model.hide(me, invisible)}),
            "request_or_accept": ("friends", lambda me, other, **_: {"outcome": model.ask(me, other)}),
            "unfriend": ("friends", lambda me, other: {"changed": model.unfriend(me, other)}),
            "block": ("friends", lambda me, other: {"changed": model.block(me, other)}),
            "unblock": ("friends", lambda me, other: {"changed": model.unblock(me, other)}),
            "outbox_done": ("outbox delete", model.forget),
        }

    async def write(self, name: str, **parameters: Any) -> Row | None:
        """One transaction."""
        kind, perform = self._writes[name]
        found: Row | None = await self._call(kind, lambda: perform(**parameters))
        return found

    async def row(self, name: str, **parameters: Any) -> Row | None:
        """The first row of a read."""
        return next(iter(await self.rows(name, **parameters)), None)

    async def rows(self, name: str, **parameters: Any) -> list[Row]:
        """All rows of a read."""
        replica = queries.catalogue()[name].by_any_member
        if name == "read_online_friends":
            return await self._read_friends(parameters["ids"], replica)
        if name == "outbox_read":
            return await self._read_outbox(parameters["limit"])
        assert name == "online_in_shards", name
        found: list[Row] = await self._call("load flags", self._online)
        return found

    async def _read_friends(self, users: list[str], replica: bool) -> list[Row]:
        model = self._model
        readings: list[Reading] = await self._call("read", lambda: model.begin(users, replica))
        for reading in readings:
            while reading.left:
                await self._call("look", lambda one=reading: model.look(one))
        return [reading.row() for reading in readings]

    async def _read_outbox(self, limit: int) -> list[Row]:
        model = self._model
        if RELAY_READS_IN_TWO:
            ts = await self._call("outbox read", model.tick)
            pairs: list[Row] = await self._call("outbox look", lambda: model.pairs(limit, ts))
            return pairs
        rows: list[Row] = await self._call("outbox read", lambda: model.pairs(limit, model.tick()))
        return rows

    def _online(self) -> list[Row]:
        online = {user: state.at for user, state in self._model.states.items() if state.online}
        return [{"ids": list(online), "ats": list(online.values())}]

    async def _call(self, kind: str, perform: Callable[[], Any]) -> Any:
        return await self._gates.call(self._life, kind, perform, lambda: GraphUnavailable(reason="scripted"))
