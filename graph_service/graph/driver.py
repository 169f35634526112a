"""The graph database by named queries; the only module that imports the Neo4j driver.

Reads are one round trip in auto-commit, with a short retry of ours. Writes are managed transactions that the driver
repeats after a deadlock or a lost connection, so a transaction function must have no side effect. Records become
plain dicts: the driver's `data()` examines every element of every list, which doubled the time of a page of 1000.
In a cluster everything goes to the leader, except reads whose header says ``members: any``; those wait for the writes
of this process by the driver's bookmarks (read your writes).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import neo4j
import stamina
from neo4j import AsyncManagedTransaction
from neo4j import exceptions as failures

from graph_service import tracing
from graph_service.errors import GraphUnavailable, SetupError
from graph_service.graph import queries
from graph_service.settings import Settings

Row = dict[str, Any]
T = TypeVar("T")
Observer = Callable[[str, float, bool], None]
"""Called after each query: name, seconds, whether it succeeded."""

DATABASE = "neo4j"
"""Named in every session, so that the driver does not ask the server for the user's home database."""
MAX_CONCURRENT_WRITES = 16
"""Of one process; the others wait here, first in, first out. The server does not serve lock waiters in order: with 64
writers on 20 users some waited for over 5 s, with 16 none did, at the same throughput."""

ENTITY_NOT_FOUND = "Neo.ClientError.Statement.EntityNotFound"
WRITE_QUEUE_TIMEOUT_SECONDS = 10.0
"""For a write that waits for its turn; then it fails as if the graph were away."""
READ_RETRY_SECONDS = 5.0
READ_MIN_BACKOFF_SECONDS = 0.02
READ_MAX_BACKOFF_SECONDS = 0.5

CONNECTION_LOST = (
    failures.ServiceUnavailable,
    failures.SessionExpired,
    failures.TransientError,
    failures.ReadServiceUnavailable,
)


def _is_temporary(problem: Exception) -> bool:
    """Whether a retry may succeed: the server was away, or something that the read had found was deleted during it."""
    return isinstance(problem, CONNECTION_LOST) or getattr(problem, "code", "") == ENTITY_NOT_FOUND


class GraphRefused(SetupError):
    """{uri} refuses user '{user}': {reason}. Check NEO4J_USER and NEO4J_PASSWORD (or NEO4J_PASSWORD_FILE)"""

    code = "graph_refused"


class NotNeo4j(SetupError):
    """{uri} is answered by '{agent}', which is not Neo4j 5.26 or newer. Point NEO4J_URI at a Neo4j server"""

    code = "not_neo4j"


class Transaction:
    """Named queries inside one write transaction."""

    def __init__(self, *, tx: AsyncManagedTransaction) -> None:
        self._tx = tx

    async def run(self, name: str, **parameters: Any) -> list[Row]:
        """Run one query; returns all its rows."""
        return await self.run_text(_text(name), parameters)

    async def run_text(self, text: str, parameters: Row) -> list[Row]:
        """Run a text that is not in the catalogue; returns all its rows."""
        return [dict(record) async for record in await self._tx.run(text, parameters)]


class Graph:
    """A connection pool to one database; queries are called by name.

    Every method raises GraphUnavailable when the server does not respond within the retry time.
    """

    def __init__(self, *, driver: neo4j.AsyncDriver, database: str, observe: Observer | None = None) -> None:
        self._driver = driver
        self._database = database
        self._writers = asyncio.Semaphore(MAX_CONCURRENT_WRITES)
        self._observe = observe or (lambda _name, _seconds, _ok: None)

    async def rows(self, name: str, **parameters: Any) -> list[Row]:
        """All rows of a read, in one round trip."""
        query = queries.catalogue()[name]
        access = neo4j.READ_ACCESS if query.by_any_member else neo4j.WRITE_ACCESS
        return await self._observed(name, self._read(query.text, parameters, access))

    async def row(self, name: str, **parameters: Any) -> Row | None:
        """The first row of a read, or None."""
        rows = await self.rows(name, **parameters)
        return rows[0] if rows else None

    async def write(self, name: str, **parameters: Any) -> Row | None:
        """Run one writing query in its own transaction; returns its first row, or None. Committed on return."""
        return await self._observed(name, self._execute(_text(name), parameters))

    async def transaction(self, name: str, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run several queries in one write transaction; `work` may run more than once."""
        return await self._observed(name, self._managed(work))

    async def explain(self, text: str, **parameters: Any) -> Row:
        """The plan of a query as a nested dict of operatorType, args and children; runs nothing."""
        return await self._observed("explain", self._explain(f"EXPLAIN {text}", parameters))

    async def statement(self, text: str, **parameters: Any) -> list[Row]:
        """Run a text that is not in the catalogue, in auto-commit: for migrations and checks of the server."""
        return await self._observed("statement", self._read(text, parameters))

    async def statements(self, texts: list[tuple[str, Row]]) -> None:
        """Run texts that are not in the catalogue in one transaction: for migrations."""

        async def work(tx: Transaction) -> None:
            for text, parameters in texts:
                await tx.run_text(text, parameters)

        await self.transaction("statements", work)

    async def agent(self) -> str:
        """What the server calls itself, such as ``Neo4j/5.26.28``."""
        return str((await self._driver.get_server_info()).agent)

    async def _observed(self, name: str, call: Awaitable[T]) -> T:
        started_at, ok = time.perf_counter(), False
        try:
            with tracing.span(f"graph {name}"):
                result = await call
        except (failures.DriverError, failures.Neo4jError, OSError) as problem:
            if _is_defect(problem):
                raise
            raise GraphUnavailable(reason=_reason(problem)) from problem
        else:
            ok = True
            return result
        finally:
            self._observe(name, time.perf_counter() - started_at, ok)

    @stamina.retry(
        on=_is_temporary,
        timeout=READ_RETRY_SECONDS,
        wait_initial=READ_MIN_BACKOFF_SECONDS,
        wait_max=READ_MAX_BACKOFF_SECONDS,
    )
    async def _read(self, text: str, parameters: Row, access: str = neo4j.WRITE_ACCESS) -> list[Row]:
        async with self._session(access) as session:
            return [dict(record) async for record in await session.run(text, parameters)]

    async def _explain(self, text: str, parameters: Row) -> Row:
        async with self._session() as session:
            summary = await (await session.run(text, parameters)).consume()
        return cast("Row", summary.plan or {})

    async def _execute(self, text: str, parameters: Row) -> Row | None:
        async with self._write_slot():
            result = await self._driver.execute_query(text, parameters, database_=self._database)
        return dict(result.records[0]) if result.records else None

    async def _managed(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._write_slot(), self._session() as session:
            return await session.execute_write(lambda tx: work(Transaction(tx=tx)))

    @asynccontextmanager
    async def _write_slot(self) -> AsyncIterator[None]:
        """One of the slots for writers, first in, first out. Raises `GraphUnavailable` where the wait is too long."""
        try:
            async with asyncio.timeout(WRITE_QUEUE_TIMEOUT_SECONDS):
                await self._writers.acquire()
        except TimeoutError as problem:
            raise GraphUnavailable(reason="the writes before this one take too long") from problem
        try:
            yield
        finally:
            self._writers.release()

    def _session(self, access: str = neo4j.WRITE_ACCESS) -> neo4j.AsyncSession:
        return self._driver.session(
            database=self._database,
            default_access_mode=access,
            fetch_size=-1,
            bookmark_manager=self._driver.execute_query_bookmark_manager,
        )


def _text(name: str) -> str:
    return queries.catalogue()[name].text


def _is_defect(problem: BaseException) -> bool:
    """Whether the query itself is wrong, rather than the server away, locked or full: never reported as temporary."""
    code = getattr(problem, "code", None) or ""
    return code.startswith(
        ("Neo.ClientError.Statement", "Neo.ClientError.Schema", "Neo.ClientError.Procedure")
    )


def _reason(problem: BaseException) -> str:
    """One line without user data: the code of a server error, or the driver's message."""
    code = getattr(problem, "code", None)
    return str(code or problem).splitlines()[0][:200]


@asynccontextmanager
async def connect(settings: Settings, observe: Observer | None = None) -> AsyncIterator[Graph]:
    """Open the pool, and close it at the end. Does not wait for the server: see `check`."""
    driver = neo4j.AsyncGraphDatabase.driver(
        settings.neo4j_uri,
        auth=(settings.neo4j_user, settings.neo4j_password.get_secret_value()),
        max_connection_pool_size=max(4, 300 // settings.workers),
        connection_acquisition_timeout=2.0,
        connection_timeout=3.0,
        connection_write_timeout=5.0,
        max_connection_lifetime=1800.0,
        liveness_check_timeout=30.0,
        max_transaction_retry_time=5.0,
        initial_retry_delay=0.02,
        telemetry_disabled=True,
        notifications_min_severity="OFF",
        user_agent="friends-presence",
    )
    try:
        yield Graph(driver=driver, database=DATABASE, observe=observe)
    finally:
        await asyncio.shield(driver.close())


async def check(graph: Graph, settings: Settings) -> str:
    """Ask the server what it is; returns its agent string.

    Raises:
        GraphRefused: wrong user or password.
        NotNeo4j: another kind of server responded, or one older than 5.26.
        GraphUnavailable: no server responded.
    """
    try:
        agent = await graph.agent()
    except (failures.AuthError, failures.AuthConfigurationError) as problem:
        raise GraphRefused(
            uri=settings.neo4j_uri, user=settings.neo4j_user, reason=_reason(problem)
        ) from problem
    except (failures.DriverError, failures.Neo4jError, OSError) as problem:
        raise GraphUnavailable(reason=f"{settings.neo4j_uri}: {_reason(problem)}") from problem
    name, _, version = agent.partition("/")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name != "Neo4j" or numbers < (5, 26):
        raise NotNeo4j(uri=settings.neo4j_uri, agent=agent)
    return agent
