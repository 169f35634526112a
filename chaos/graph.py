"""Observer of the graph: its users, its clock, and every committed change, by its own connection and Cypher."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import neo4j
from neo4j.exceptions import DriverError, Neo4jError

from chaos.judge import CommittedChange, Row

UNAVAILABLE = (DriverError, Neo4jError, OSError, TimeoutError)
"""Errors of a graph that is being killed."""
POLL_SECONDS = 0.1
"""Far below the debounce time, so that no committed change is missed between two polls."""
_ROWS = """
MATCH (u:User)
RETURN u.id AS id, u:Online AS online, coalesce(u.presence_at, 0) AS at,
       coalesce(u.invisible, false) AS invisible, [(u)-[:FRIEND]-(f) | f.id] AS friends
"""
_FLAGS = "MATCH (u:User) RETURN u.id AS id, u:Online AS online, coalesce(u.presence_at, 0) AS at"
_CLOCK = "WITH datetime.realtime() AS now RETURN now.epochSeconds * 1000000 + now.microsecond AS ts"
_PEOPLE = "UNWIND $ids AS id MERGE (u:User {id: id}) ON CREATE SET u.name = id"
_FRIENDS = "UNWIND $pairs AS p MATCH (a:User {id: p[0]}), (b:User {id: p[1]}) MERGE (a)-[:FRIEND]->(b)"


class GraphObserver:
    """Polls the graph, and records committed changes."""

    def __init__(self, *, uri: str, user: str, password: str) -> None:
        self._driver = neo4j.AsyncGraphDatabase.driver(
            uri, auth=(user, password), connection_timeout=2, notifications_min_severity="OFF"
        )
        self.committed_changes: list[CommittedChange] = []
        self._known: dict[str, tuple[bool, int]] = {}
        self._began = 0

    async def close(self) -> None:
        await self._driver.close()

    async def create(self, people: list[str], pairs: list[tuple[str, str]]) -> None:
        """Create users and their first friendships."""
        await self._ask(_PEOPLE, ids=people)
        await self._ask(_FRIENDS, pairs=[sorted(pair) for pair in pairs])

    async def rows(self) -> dict[str, Row]:
        """All users now."""
        return {
            row["id"]: Row(row["online"], row["at"], row["invisible"], frozenset(row["friends"]))
            for row in await self._ask(_ROWS)
        }

    async def clock(self) -> int:
        """The server's clock in microseconds. Waits until the server responds."""
        while True:
            try:
                return await self._now() + 1000
            except UNAVAILABLE:
                await asyncio.sleep(POLL_SECONDS)

    async def watch(self) -> None:
        """Poll endlessly, also while the server is unavailable."""
        while True:
            with suppress(*UNAVAILABLE):
                await self.poll()
            await asyncio.sleep(POLL_SECONDS)

    async def poll(self) -> None:
        """Read all flags. A flag that differs from the last poll is a committed change."""
        began = await self._now()
        rows = await self._ask(_FLAGS)
        ended = await self._now()
        for row in rows:
            known = self._known.get(row["id"])
            if known and known[0] != row["online"]:
                self.committed_changes.append(
                    CommittedChange(row["id"], row["online"], row["at"], self._began, ended)
                )
            self._known[row["id"]] = (row["online"], row["at"])
        self._began = began

    async def _now(self) -> int:
        """The server's clock, rounded to milliseconds like the clock of a statement."""
        return int((await self._ask(_CLOCK))[0]["ts"]) // 1000 * 1000

    async def _ask(self, query: str, **parameters: Any) -> list[neo4j.Record]:
        async with asyncio.timeout(10):
            found = await self._driver.execute_query(query, parameters, database_="neo4j")
        return found.records
