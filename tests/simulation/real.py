"""The databases of the simulation, real: Neo4j and Valkey behind the same ports, call by call next to the models.

The simulated processes run on their own loop in a thread, and hand each call to the test's loop. Whatever Neo4j
returns must be what the model returns, but for clocks and ids: so the tapes compare the models with the real thing. What a
real database cannot be made to do (a clock that steps back or stands still, a lagging replica) stays the models'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from graph_service.graph.driver import Graph
from graph_service.settings import Settings
from graph_service.valkey.client import FIRST, Valkey
from tests.simulation.graph import GraphPort, Row
from tests.simulation.loop import Life, ScriptedLoop
from tests.simulation.process import Surroundings
from tests.simulation.store import Entry, Store
from tests.simulation.world import Tape, played

MODELS_ONLY = {"clock back", "coarse clock", "replica"}
OWN = {"ts", "node", "since", "last_seen", "a_last_seen", "b_last_seen"}
"""Columns whose values differ in a real database."""
Wait = Callable[[Awaitable[Any]], Any]


class RealStore(Store):
    """Streams of Valkey; leases, values and wake-ups go by virtual time, so they stay in memory."""

    def __init__(self, now: Callable[[], int], valkey: Valkey, wait: Wait) -> None:
        super().__init__(now)
        self._valkey, self._real = valkey, wait
        self._keys: set[str] = set()

    def append(self, entries: Sequence[tuple[str, bytes]], values: Mapping[str, bytes]) -> None:
        """As in memory."""
        fresh = {key for key, _ in entries} - self._keys
        if fresh:
            self._real(self._valkey.forget(sorted(fresh)))
            self._keys |= fresh
        self._real(self._valkey.append(list(entries)))
        super().append([], {})
        self.values.update(values)
        for watcher in self.watchers:
            watcher.appended(entries, values)
        self._wake({key for key, _ in entries})

    def read(self, positions: Mapping[str, str], count: int) -> dict[str, list[Entry]]:
        """As in memory."""
        known = {key: place for key, place in positions.items() if key in self._keys}
        found: dict[str, list[Entry]] = self._real(self._valkey.read(known, count=count))
        return found

    def delete(self, ids: Mapping[str, Sequence[str]]) -> None:
        """As in memory."""
        stood = self.read(dict.fromkeys(ids, FIRST), 10_000)
        self._real(self._valkey.delete(ids))
        for key, some in ids.items():
            for one, body in stood.get(key, []):
                if one in some:
                    for watcher in self.watchers:
                        watcher.deleted(key, body)

    def entries(self, suffix: str) -> list[bytes]:
        """As in memory."""
        found = self.read({key: FIRST for key in self._keys if key.endswith(suffix)}, 10_000)
        return [body for rows in found.values() for _, body in rows]


class RealGraphPort(GraphPort):
    """Every call of the model, and of Neo4j; they must agree."""

    def __init__(self, around: RealSurroundings, life: Life) -> None:
        super().__init__(around.graph, around.gates, life)
        self._around = around

    async def write(self, name: str, **parameters: Any) -> Row | None:
        """One transaction of both, at one instant."""
        kind, perform = self._writes[name]

        def both() -> tuple[Row | None, Row | None]:
            model = perform(**self._of_model(name, parameters))
            return model, self._around.wait(self._around.real_graph.write(name, **parameters))

        model, real = await self._call(kind, both)
        if model is not None:
            self._agree(name, [model], [real or {}])
        return real

    async def rows(self, name: str, **parameters: Any) -> list[Row]:
        """All rows of a read."""
        model = await super().rows(name, **parameters)
        real: list[Row] = self._around.wait(self._around.real_graph.rows(name, **parameters))
        if name == "outbox_read":
            model, real = (sorted(rows, key=_by_pair) for rows in (model, real))
            self._around.nodes |= {b["node"]: a["node"] for a, b in zip(model, real, strict=True)}
        self._agree(name, model, real)
        return real

    def _of_model(self, name: str, parameters: Row) -> Row:
        if name != "outbox_done":
            return parameters
        return {"nodes": [self._around.nodes[node] for node in parameters["nodes"]]}

    def _agree(self, name: str, model: list[Row], real: list[Row]) -> None:
        ours, theirs = ([_plain(row) for row in rows] for rows in (model, real))
        differ = [(a, b) for a, b in zip(ours, theirs, strict=False) if a != b]
        assert ours == theirs, (
            f"{name}: {[_difference(*one) for one in differ]} of {len(ours)}, {len(theirs)}"
        )


def _by_pair(row: Row) -> tuple[str, str, str]:
    return row["a"], row["b"], row["node"]


def _plain(row: Row) -> Row:
    shared = {key: value for key, value in row.items() if key not in OWN}
    return {key: sorted(value) if isinstance(value, list) else value or 0 for key, value in shared.items()}


def _difference(model: Row, real: Row) -> list[str]:
    keys = sorted({*model, *real})
    return [f"{key}: {model.get(key)!r} {real.get(key)!r}" for key in keys if model.get(key) != real.get(key)]


class RealSurroundings(Surroundings):
    """The same world around real databases."""

    clock_is_virtual = False
    real_graph: Graph
    real_valkey: Valkey
    wait: Wait

    def __init__(self, loop: ScriptedLoop, users: tuple[str, ...], settings: Settings) -> None:
        super().__init__(loop, users, settings)  # type: ignore[arg-type]
        self.store = RealStore(lambda: loop.milliseconds, self.real_valkey, self.wait)
        self.nodes: dict[str, str] = {}
        """The model's id of each outbox node of Neo4j's."""
        statement = self.real_graph.statement
        self.wait(statement("MATCH (n) WHERE n:User OR n:Outbox DETACH DELETE n"))
        self.wait(statement("UNWIND $ids AS id CREATE (:User {id: id, name: id})", ids=list(users)))

    def graph_port(self, life: Life) -> RealGraphPort:
        """Neo4j next to the model."""
        return RealGraphPort(self, life)


async def simulate_on(graph: Graph, valkey: Valkey, tape: Tape) -> list[str]:
    """Play a tape on real databases, without what only models can do; what was wrong."""
    loop = asyncio.get_running_loop()

    def wait(call: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(call, loop).result(30)  # type: ignore[arg-type]

    class OnDatabases(RealSurroundings):
        real_graph, real_valkey = graph, valkey

    OnDatabases.wait = staticmethod(wait)
    steps = [one for one in tape if one[0] not in MODELS_ONLY]

    def play() -> list[str]:
        return played(steps, made=OnDatabases).judge.wrong

    return await asyncio.to_thread(play)
