"""What is asked of both engines: the calls of the service's own classes, beside the same question in SQL.

Knows users to ask about and how each engine is asked; measures nothing.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.graph import postgres
from bench.graph.postgres import Postgres
from bench.harness.measure import Call, Timing, at_once
from graph_service.friends.friends import Friends
from graph_service.friends.presence_flags import Flags
from graph_service.friends.suggestions import SuggestionsFor
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag
from graph_service.model.sharding import ShardMap

BATCH = 500
"""Users settled together, as the bridge does."""


@dataclass
class Memory:
    """Kept answers in this process: the engine's own time is the question here, not Valkey's."""

    values: dict[str, bytes] = field(default_factory=dict)

    async def get(self, key: str) -> bytes | None:
        """The answer, or None."""
        return self.values.get(key)

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keeps it."""
        self.values[key] = value

    async def drop(self, keys: Sequence[str]) -> None:
        """Forgets."""
        for key in keys:
            self.values.pop(key, None)


@dataclass(frozen=True)
class Question:
    """One thing to measure on both engines."""

    name: str
    graph: Call
    sql: Call | None
    calls: int = 300
    warm: int = 400
    """Calls ahead, in which Neo4j's Java compiles what the question runs through."""
    sql_warm: int = 60
    """The same for PostgreSQL, which is compiled already: they fill its caches."""
    clients: int = 1
    per_call: int = 1
    """Users that one call serves, for the rate."""
    budget: str = ""
    """Of docs/architecture.md, by the percentile it is set for, such as ``p95 <= 350 ms``."""

    async def timings(self) -> dict[str, Timing]:
        """Of each engine that answers it."""
        asked = (("Neo4j", self.graph, self.warm), ("PostgreSQL", self.sql, self.sql_warm))
        return {
            engine: await at_once(call, self.calls, self.clients, warm)
            for engine, call, warm in asked
            if call
        }


@dataclass(frozen=True)
class Asked:
    """Whom the questions are about."""

    ids: Sequence[str]
    """Everybody."""
    busiest: str
    """With 1,000 friends, or the most there are."""
    capped: str
    """At the cap of 10,000 friends."""
    couples: Sequence[tuple[str, str]]
    """Pairs who are friends."""
    strangers: Sequence[tuple[str, str]]
    """Pairs who are not friends."""


def questions(graph: Graph, sql: Postgres | None, asked: Asked) -> Iterator[Question]:
    """All of them, in the order of the table; those that change friendships last."""
    yield from _reads(graph, sql, asked)
    yield from _suggestions(graph, sql, asked)
    yield _settle(graph, sql, asked)
    yield _asks(graph, sql, asked)


def _reads(graph: Graph, sql: Postgres | None, asked: Asked) -> Iterator[Question]:
    friends, flags = Friends(graph=graph), Flags(graph=graph)
    someone = _chosen(asked.ids)

    def page(limit: int, who: Callable[[int], str]) -> tuple[Call, Call | None]:
        return (
            lambda n: friends.page(who(n), limit=limit),
            _rows(sql, postgres.PAGE, lambda n: (who(n), -1, limit)),
        )

    def anybody(n: int) -> str:
        return someone[n % len(someone)]

    def pair(n: int) -> tuple[str, str]:
        return asked.couples[n % len(asked.couples)]

    yield Question("friends page of 100", *page(100, anybody), budget="p50 <= 1.8 ms over HTTP")
    yield Question(
        "friends page of 1000", *page(1000, lambda _n: asked.busiest), budget="p50 <= 9 ms over HTTP"
    )
    yield Question(
        "online friends of a user with 1000",
        lambda _n: flags.sync(asked.busiest),
        _rows(sql, postgres.SYNC, lambda _n: (asked.busiest,)),
        budget="p50 <= 6 ms over HTTP",
    )
    yield Question(
        "are we friends",
        lambda n: graph.row("are_friends", me=pair(n)[0], other=pair(n)[1]),
        _rows(sql, postgres.ARE_FRIENDS, pair),
    )
    yield Question(
        "mutual friends, page of 100",
        lambda n: friends.mutual(*pair(n), limit=100),
        _rows(sql, postgres.MUTUAL, lambda n: (*pair(n), 100)),
    )
    yield Question("page of 100 of a user with 10,000", *page(100, lambda _n: asked.capped), calls=100)
    yield Question(
        "online friends of a user with 10,000",
        lambda _n: flags.sync(asked.capped),
        _rows(sql, postgres.SYNC, lambda _n: (asked.capped,)),
        calls=100,
    )


def _suggestions(graph: Graph, sql: Postgres | None, asked: Asked) -> Iterator[Question]:
    someone = _chosen(asked.ids)[:40]
    kept = SuggestionsFor(graph=graph, cache=Memory())

    async def first(n: int) -> object:
        await kept.forget(someone[n % 40])
        return await kept.top(someone[n % 40])

    yield Question(
        "suggestions, first call",
        first,
        _rows(sql, postgres.SUGGESTIONS, lambda n: (someone[n % 40], 100)),
        calls=40,
        warm=40,
        sql_warm=10,
        budget="p95 <= 350 ms",
    )
    yield Question("suggestions, kept", lambda n: kept.top(someone[n % 40]), None, budget="p95 <= 10 ms")


def _settle(graph: Graph, sql: Postgres | None, asked: Asked) -> Question:
    flags, shards = Flags(graph=graph), ShardMap()
    draw = random.Random(5)

    async def in_graph(n: int) -> object:
        users = draw.sample(list(asked.ids), BATCH)
        at = 1_800_000_000_000 + n * 1000
        await flags.write_flags([Flag(user, draw.random() < 0.3, at, shards.shard(user)) for user in users])
        return await flags.read_snapshots(users)

    async def in_sql(n: int) -> object:
        assert sql
        users = draw.sample(list(asked.ids), BATCH)
        on = [user for user in users if draw.random() < 0.3]
        await sql.rows(postgres.SETTLE, on, True, 1_800_000_000_000 + n * 1000)
        off = list(set(users) - set(on))
        await sql.rows(postgres.SETTLE, off, False, 1_800_000_000_000 + n * 1000)
        return await sql.rows(postgres.TELL, users)

    return Question(
        "settle and tell 500 users",
        in_graph,
        in_sql if sql else None,
        calls=24,
        warm=50,
        sql_warm=10,
        per_call=BATCH,
        budget=">= 2000 users/s",
    )


def _asks(graph: Graph, sql: Postgres | None, asked: Asked) -> Question:
    """Ask and accept: every second call makes a friendship."""
    friends = Friends(graph=graph)

    def ends(n: int) -> tuple[str, str]:
        a, b = asked.strangers[n // 2 % len(asked.strangers)]
        return (a, b) if n % 2 else (b, a)

    async def in_sql(n: int) -> object:
        assert sql
        return await sql.ask(*ends(n))

    return Question(
        "PUT friend, 64 clients",
        lambda n: friends.ask(*ends(n)),
        in_sql if sql else None,
        calls=4000,
        warm=1000,
        sql_warm=1000,
        clients=64,
    )


def _chosen(ids: Sequence[str]) -> list[str]:
    return random.Random(3).sample(list(ids), min(400, len(ids)))


def _rows(sql: Postgres | None, text: str, values: Callable[[int], Sequence[object]]) -> Call | None:
    def call(n: int) -> Awaitable[object]:
        assert sql
        return sql.rows(text, *values(n))

    return call if sql else None
