"""The measured graph queries: each as a call of the service's own class and as SQL. Measures nothing."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.graph import postgres
from bench.graph.postgres import Postgres
from bench.harness.measure import Call, Timing, at_once
from graph_service.friends.friends import Friends, ignore_changes
from graph_service.friends.presence_flags import Flags
from graph_service.friends.suggestions import SuggestionsFor
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag
from graph_service.model.sharding import ShardMap

BATCH_USERS = 500
"""Users committed in one batch, as the bridge does."""


@dataclass
class MemoryCache:
    """A cache in this process, because the database's time is measured and not Valkey's."""

    values: dict[str, bytes] = field(default_factory=dict)

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        self.values[key] = value

    async def drop(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.values.pop(key, None)


@dataclass(frozen=True)
class Question:
    """One query to measure on both databases."""

    name: str
    graph: Call
    sql: Call | None
    calls: int = 300
    warm: int = 400
    """Calls before the measurement, in which Neo4j's JVM compiles the query."""
    sql_warm: int = 60
    """The same for PostgreSQL, where they only fill its caches."""
    clients: int = 1
    per_call: int = 1
    """Users in one call, for the rate."""
    budget: str = ""
    """The limit with its percentile, such as ``p95 <= 350 ms``."""

    async def timings(self) -> dict[str, Timing]:
        """Timings by database."""
        subjects = (("Neo4j", self.graph, self.warm), ("PostgreSQL", self.sql, self.sql_warm))
        return {
            engine: await at_once(call, self.calls, self.clients, warm)
            for engine, call, warm in subjects
            if call
        }


@dataclass(frozen=True)
class Subjects:
    """The users that the queries concern."""

    ids: Sequence[str]
    """All users."""
    busiest: str
    """A user with 1,000 friends, or as many as there are."""
    capped: str
    """A user with the maximum of 10,000 friends."""
    couples: Sequence[tuple[str, str]]
    """Pairs of friends."""
    non_friends: Sequence[tuple[str, str]]
    """Pairs of users who are not friends."""


def questions(graph: Graph, sql: Postgres | None, subjects: Subjects) -> Iterator[Question]:
    """All queries in the order of the table; those that change friendships come last."""
    yield from _reads(graph, sql, subjects)
    yield from _suggestions(graph, sql, subjects)
    yield _commit(graph, sql, subjects)
    yield _friend_requests(graph, sql, subjects)


def _reads(graph: Graph, sql: Postgres | None, subjects: Subjects) -> Iterator[Question]:
    friends, flags = Friends(graph=graph, changed=ignore_changes), Flags(graph=graph)
    users = _chosen(subjects.ids)

    def page(limit: int, who: Callable[[int], str]) -> tuple[Call, Call | None]:
        return (
            lambda n: friends.page(who(n), limit=limit),
            _rows(sql, postgres.PAGE, lambda n: (who(n), -1, limit)),
        )

    def any_user(n: int) -> str:
        return users[n % len(users)]

    def pair(n: int) -> tuple[str, str]:
        return subjects.couples[n % len(subjects.couples)]

    yield Question("friends page of 100", *page(100, any_user), budget="p50 <= 1.8 ms over HTTP")
    yield Question(
        "friends page of 1000", *page(1000, lambda _n: subjects.busiest), budget="p50 <= 9 ms over HTTP"
    )
    yield Question(
        "online friends of a user with 1000",
        lambda _n: flags.sync(subjects.busiest),
        _rows(sql, postgres.SYNC, lambda _n: (subjects.busiest,)),
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
    yield Question("page of 100 of a user with 10,000", *page(100, lambda _n: subjects.capped), calls=100)
    yield Question(
        "online friends of a user with 10,000",
        lambda _n: flags.sync(subjects.capped),
        _rows(sql, postgres.SYNC, lambda _n: (subjects.capped,)),
        calls=100,
    )


def _suggestions(graph: Graph, sql: Postgres | None, subjects: Subjects) -> Iterator[Question]:
    users = _chosen(subjects.ids)[:40]
    suggestions = SuggestionsFor(graph=graph, cache=MemoryCache())

    async def first(n: int) -> object:
        await suggestions.forget(users[n % 40])
        return await suggestions.top(users[n % 40])

    yield Question(
        "suggestions, first call",
        first,
        _rows(sql, postgres.SUGGESTIONS, lambda n: (users[n % 40], 100)),
        calls=40,
        warm=40,
        sql_warm=10,
        budget="p95 <= 350 ms",
    )
    yield Question(
        "suggestions, cached", lambda n: suggestions.top(users[n % 40]), None, budget="p95 <= 10 ms"
    )


def _commit(graph: Graph, sql: Postgres | None, subjects: Subjects) -> Question:
    flags, shards = Flags(graph=graph), ShardMap()
    draw = random.Random(5)

    async def in_graph(n: int) -> object:
        users = draw.sample(list(subjects.ids), BATCH_USERS)
        at = 1_800_000_000_000 + n * 1000
        await flags.write_flags([Flag(user, draw.random() < 0.3, at, shards.shard(user)) for user in users])
        return await flags.read_snapshots(users)

    async def in_sql(n: int) -> object:
        assert sql
        users = draw.sample(list(subjects.ids), BATCH_USERS)
        on = [user for user in users if draw.random() < 0.3]
        await sql.rows(postgres.COMMIT, on, True, 1_800_000_000_000 + n * 1000)
        off = list(set(users) - set(on))
        await sql.rows(postgres.COMMIT, off, False, 1_800_000_000_000 + n * 1000)
        return await sql.rows(postgres.READ, users)

    return Question(
        "commit and read 500 users",
        in_graph,
        in_sql if sql else None,
        calls=24,
        warm=50,
        sql_warm=10,
        per_call=BATCH_USERS,
        budget=">= 2000 users/s",
    )


def _friend_requests(graph: Graph, sql: Postgres | None, subjects: Subjects) -> Question:
    """Request and accept: every second call creates a friendship."""
    friends = Friends(graph=graph, changed=ignore_changes)

    def ends(n: int) -> tuple[str, str]:
        a, b = subjects.non_friends[n // 2 % len(subjects.non_friends)]
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
