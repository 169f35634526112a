"""The graph as an onlooker sees it: its rows, its clock, and every settled change. Knows Cypher; asks no service of ours."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import neo4j
from neo4j.exceptions import DriverError, Neo4jError

from chaos.judge import Flip, Row

AWAY = (DriverError, Neo4jError, OSError, TimeoutError)
"""What a graph that is being killed leads to."""
LOOK = 0.1
"""Seconds between two looks: far below the hold, so no settled change is missed between them."""
_ROWS = """
MATCH (u:User)
RETURN u.id AS id, u:Online AS online, coalesce(u.presence_at, 0) AS at,
       coalesce(u.invisible, false) AS invisible, [(u)-[:FRIEND]-(f) | f.id] AS friends
"""
_FLAGS = "MATCH (u:User) RETURN u.id AS id, u:Online AS online, coalesce(u.presence_at, 0) AS at"
_CLOCK = "WITH datetime.realtime() AS now RETURN now.epochSeconds * 1000000 + now.microsecond AS ts"
_PEOPLE = "UNWIND $ids AS id MERGE (u:User {id: id}) ON CREATE SET u.name = id"
_FRIENDS = "UNWIND $pairs AS p MATCH (a:User {id: p[0]}), (b:User {id: p[1]}) MERGE (a)-[:FRIEND]->(b)"


class Onlooker:
    """Looks at the graph by a connection of its own."""

    def __init__(self, uri: str, user: str, password: str) -> None:
        self._driver = neo4j.AsyncGraphDatabase.driver(
            uri, auth=(user, password), connection_timeout=2, notifications_min_severity="OFF"
        )
        self.flips: list[Flip] = []
        self._known: dict[str, tuple[bool, int]] = {}
        self._began = 0

    async def close(self) -> None:
        """Let go of the connection."""
        await self._driver.close()

    async def create(self, people: list[str], pairs: list[tuple[str, str]]) -> None:
        """Everybody and their first friendships."""
        await self._ask(_PEOPLE, ids=people)
        await self._ask(_FRIENDS, pairs=[sorted(pair) for pair in pairs])

    async def rows(self) -> dict[str, Row]:
        """Everybody, now."""
        return {
            row["id"]: Row(row["online"], row["at"], row["invisible"], frozenset(row["friends"]))
            for row in await self._ask(_ROWS)
        }

    async def clock(self) -> int:
        """The server's, in microseconds, waiting until it answers."""
        while True:
            try:
                return await self._now() + 1000
            except AWAY:
                await asyncio.sleep(LOOK)

    async def watch(self) -> None:
        """Keep looking for settled changes; while nobody answers, look on."""
        while True:
            with suppress(*AWAY):
                await self.look()
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """One look: a flag that is another one than at the last look is a settled change."""
        began = await self._now()
        rows = await self._ask(_FLAGS)
        ended = await self._now()
        for row in rows:
            known = self._known.get(row["id"])
            if known and known[0] != row["online"]:
                self.flips.append(Flip(row["id"], row["online"], row["at"], self._began, ended))
            self._known[row["id"]] = (row["online"], row["at"])
        self._began = began

    async def _now(self) -> int:
        """Whole milliseconds, as statements are stamped."""
        return int((await self._ask(_CLOCK))[0]["ts"]) // 1000 * 1000

    async def _ask(self, query: str, **parameters: Any) -> list[neo4j.Record]:
        async with asyncio.timeout(10):
            found = await self._driver.execute_query(query, parameters, database_="neo4j")
        return found.records
