"""The engines of the simulation, real: Neo4j and Valkey behind the models' interfaces. Decides nothing itself.

The simulation is written without waiting, so it runs in a thread of its own and hands each call to the test's loop.
What a real engine cannot be told to do (a clock that steps back or stands still, a lagging replica) stays a model's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from graph_service.friends.friends import Friends
from graph_service.friends.outbox import Outbox
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph
from graph_service.model.model import ChangedPair, CommitResult, Flag, PresenceSnapshot
from graph_service.valkey.client import FIRST, Valkey
from pubnub_bridge.debounce.debouncer import Change
from tests.simulation import mutants
from tests.simulation.engines import Person, Reading
from tests.simulation.owner import Owner
from tests.simulation.rules import Rules
from tests.simulation.world import USERS, World

MODELS_ONLY = {"clock back", "coarse clock", "replica"}
Answer = TypeVar("Answer")
Wait = Callable[[Awaitable[Any]], Any]


@dataclass
class RealReading(Reading):
    """Row 7 by one statement: it is answered when it is begun."""

    answer: PresenceSnapshot | None = None


class RealGraph:
    """Neo4j behind the interface of `GraphModel`."""

    def __init__(self, graph: Graph, wait: Wait) -> None:
        self._graph, self._wait = graph, wait
        self._flags, self._friends, self._outbox = (
            Flags(graph=graph),
            Friends(graph=graph),
            Outbox(graph=graph),
        )
        self._wait(graph.statement("MATCH (n) WHERE n:User OR n:Outbox DETACH DELETE n"))
        self._wait(graph.statement("UNWIND $ids AS id CREATE (:User {id: id, name: id})", ids=list(USERS)))
        self.friends: set[frozenset[str]] = set()
        self.blocks: set[tuple[str, str]] = set()

    @property
    def clock(self) -> int:
        """The server's."""
        return int(self._wait(self._flags.clock()))

    @clock.setter
    def clock(self, _moment: int) -> None:
        """It goes by itself."""

    @property
    def people(self) -> dict[str, Person]:
        """All flags."""
        rows = self._wait(
            self._graph.statement(
                "MATCH (u:User) RETURN u.id AS id, u:Online AS online, coalesce(u.presence_at, 0) AS at, "
                "coalesce(u.invisible, false) AS invisible"
            )
        )
        return {row["id"]: Person(row["online"], row["at"], row["invisible"]) for row in rows}

    def copy(self) -> None:
        """There is no replica."""

    def write_flags(self, changes: Sequence[Change]) -> CommitResult:
        """Row 6."""
        flags = [Flag(change.user, change.online, change.at, change.shard) for change in changes]
        return self._wait(self._flags.write_flags(flags))  # type: ignore[no-any-return]

    def begin(self, user: str) -> RealReading:
        """Row 7."""
        (told,) = self._wait(self._flags.read_snapshots([user]))
        own = Person(told.present, told.presence_at, told.invisible)
        return RealReading(user, told.ts, [], own, told.total_friends, answer=told)

    def told(self, reading: RealReading) -> PresenceSnapshot:
        """Its answer."""
        assert reading.answer
        return reading.answer

    def hide(self, user: str, invisible: bool) -> None:
        """Commit a choice of visibility."""
        self._wait(self._flags.set_visibility(user, invisible))

    def are_friends(self, a: str, b: str) -> bool:
        """Whether an edge stands between the two."""
        return frozenset((a, b)) in self.friends

    def befriend(self, a: str, b: str) -> None:
        """Asked by one, accepted by the other; nothing where one has blocked the other."""
        if {(a, b), (b, a)} & self.blocks:
            return
        self._wait(self._friends.ask(a, b))
        self._wait(self._friends.ask(b, a))
        self._look()

    def unfriend(self, a: str, b: str) -> None:
        """An end."""
        self._wait(self._friends.remove(a, b))
        self._look()

    def block(self, a: str, b: str) -> None:
        """An end that lasts."""
        self._wait(self._friends.block(a, b))
        self._look()

    def unblock(self, a: str, b: str) -> None:
        """Lifts it."""
        self._wait(self._friends.unblock(a, b))
        self._look()

    @property
    def outbox(self) -> dict[str, ChangedPair]:
        """What waits to be told."""
        return {pair.node: pair for pair in self._wait(self._outbox.read())}

    def pair(self, node: str) -> ChangedPair:
        """One node with what stands now."""
        return self.outbox[node]

    def done(self, node: str) -> None:
        """Delete by id."""
        self._wait(self._outbox.done([node]))

    def _look(self) -> None:
        rows = self._wait(
            self._graph.statement(
                "MATCH (a:User)-[r:FRIEND|BLOCKED]->(b:User) RETURN a.id AS a, b.id AS b, type(r) AS kind"
            )
        )
        self.friends = {frozenset((row["a"], row["b"])) for row in rows if row["kind"] == "FRIEND"}
        self.blocks = {(row["a"], row["b"]) for row in rows if row["kind"] == "BLOCKED"}


class RealStream:
    """One stream of Valkey behind the interface of `Stream`."""

    def __init__(self, valkey: Valkey, key: str, wait: Wait) -> None:
        self._valkey, self._key, self._wait = valkey, key, wait
        self._wait(valkey.forget([key]))
        self.last = ""
        """The newest entry's id; our own appends are the only ones."""

    def append(self, body: bytes) -> None:
        """One more entry."""
        self._wait(self._valkey.append([(self._key, body)]))
        self.last = self.after(self.last, 2)[-1][0]

    def after(self, place: str, count: int) -> list[tuple[str, bytes]]:
        """The entries behind a place."""
        found = self._wait(self._valkey.read({self._key: place or FIRST}, count=count))
        return list(found.get(self._key, []))

    def delete(self, ids: list[str]) -> None:
        """Forget entries."""
        self._wait(self._valkey.delete({self._key: ids}))

    @property
    def entries(self) -> dict[str, bytes]:
        """All that stands there."""
        return dict(self.after("", 10_000))


class RealWorld(World):
    """The same world on real engines."""

    def __init__(self, rules: Rules, graph: Graph, valkey: Valkey, wait: Wait) -> None:
        super().__init__(rules)
        self.real = RealGraph(graph, wait)
        self.graph = self.out.graph = self.real  # type: ignore[assignment]
        self.out.seen = RealStream(valkey, "fp:{0}:seen", wait)  # type: ignore[assignment]
        self.out.inbox = RealStream(valkey, "fp:{0}:inbox", wait)  # type: ignore[assignment]
        self.owners = [Owner(self.out)]
        self.spans, self.changed = {}, {}
        self.real.befriend("ann", "bob")
        self.real.befriend("bob", "cat")
        self._note_friends()

    def block(self, a: str, b: str) -> None:
        """Ends it, or lifts the block."""
        if (a, b) in self.real.blocks:
            self.real.unblock(a, b)
        else:
            self.real.block(a, b)
        self._note_friends()


def simulate(world: Callable[[], World], tape: Sequence[tuple[str, int]], rules: Rules) -> list[str]:
    """Play a tape, without what only models can do; returns what was wrong."""
    with mutants.letters(rules):
        made = world()
        for action, number in tape:
            if action not in MODELS_ONLY:
                made.step(action, number)
            if made.wrong:
                return made.wrong
        made.rest()
    return made.wrong


async def simulate_on(
    graph: Graph, valkey: Valkey, tape: Sequence[tuple[str, int]], rules: Rules
) -> list[str]:
    """The same on real engines, from a loop."""
    loop = asyncio.get_running_loop()

    def wait(call: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(call, loop).result(30)  # type: ignore[arg-type]

    return await asyncio.to_thread(simulate, lambda: RealWorld(rules, graph, valkey, wait), tape, rules)
