"""The graph queries in PostgreSQL, in the best SQL we can write. Measures nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import numpy as np

from local_stack.data.digits import lines_of
from local_stack.data.generate import Population

SCHEMA = Path(__file__).with_suffix(".sql")
CONNECTIONS = 64
COPY_ROWS = 500_000

PAGE = """
SELECT p.id, p.name, p.online AND NOT p.invisible, p.last_seen, f.since FROM friends f JOIN people p ON p.n = f.b
WHERE f.a = (SELECT n FROM people WHERE id = $1) AND f.b > $2 ORDER BY f.b LIMIT $3"""
SYNC = """
SELECT array_agg(p.id) FILTER (WHERE p.online AND NOT p.invisible), count(*), now()
FROM friends f JOIN people p ON p.n = f.b WHERE f.a = (SELECT n FROM people WHERE id = $1)"""
ARE_FRIENDS = """
SELECT EXISTS (SELECT 1 FROM friends f WHERE f.a = (SELECT n FROM people WHERE id = $1)
  AND f.b = (SELECT n FROM people WHERE id = $2))"""
MUTUAL = """
WITH common AS (SELECT f.b FROM friends f JOIN friends g ON g.b = f.b
  WHERE f.a = (SELECT n FROM people WHERE id = $1) AND g.a = (SELECT n FROM people WHERE id = $2))
SELECT p.id, p.name, p.online AND NOT p.invisible, p.last_seen, (SELECT count(*) FROM common)
FROM common JOIN people p ON p.n = common.b ORDER BY p.n LIMIT $3"""
SUGGESTIONS = """
WITH mine AS MATERIALIZED (SELECT b FROM friends WHERE a = (SELECT n FROM people WHERE id = $1)),
top AS (SELECT g.b AS n, count(*) AS mutual FROM mine JOIN friends g ON g.a = mine.b
  WHERE g.b <> (SELECT n FROM people WHERE id = $1) AND g.b NOT IN (SELECT b FROM mine)
  GROUP BY g.b ORDER BY mutual DESC, g.b LIMIT $2)
SELECT p.id, top.mutual, (SELECT array_agg(q.id) FROM (SELECT x.id FROM friends h JOIN mine ON mine.b = h.b
  JOIN people x ON x.n = h.b WHERE h.a = top.n ORDER BY h.b LIMIT 3) q)
FROM top JOIN people p ON p.n = top.n"""
COMMIT = """
WITH locked AS (SELECT p.n FROM people p WHERE p.id = ANY($1::text[]) ORDER BY p.n FOR NO KEY UPDATE)
UPDATE people p SET online = $2, presence_at = $3, last_seen = $3 FROM locked
WHERE p.n = locked.n AND p.presence_at <= $3 RETURNING p.id"""
READ = """
SELECT u.id, u.name, u.online, u.invisible, u.presence_at, u.last_seen, x.online, x.total, now()
FROM people u CROSS JOIN LATERAL (
  SELECT array_agg(p.id) FILTER (WHERE p.online) AS online, count(*) AS total
  FROM friends f JOIN people p ON p.n = f.b WHERE f.a = u.n) x
WHERE u.id = ANY($1::text[])"""


class Postgres:
    """A connection pool to one database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, socket: str) -> AsyncIterator[Postgres]:
        """Open `CONNECTIONS` connections."""
        async with asyncpg.create_pool(
            host=socket, user="postgres", database="postgres", min_size=CONNECTIONS, max_size=CONNECTIONS
        ) as pool:
            yield cls(pool)

    async def version(self) -> str:
        """Such as ``15.8``."""
        return str(await self._pool.fetchval("SHOW server_version"))

    async def load(self, population: Population, online: Sequence[str], pairs: Sequence[np.ndarray]) -> None:
        """Create the tables from a population. `pairs` are arrays of index pairs; both directions are inserted."""
        before, after = SCHEMA.read_text("utf-8").split("-- after the load\n")
        flagged = set(online)
        rows = [
            (number, id_, name, id_ in flagged, False, 0, 0)
            for number, (id_, name) in enumerate(zip(population.ids, population.names, strict=True))
        ]
        edges = np.concatenate([*pairs, *(one[:, ::-1] for one in pairs)])
        edges = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                await connection.execute(before)
                await connection.copy_records_to_table("people", records=rows)
                for start in range(0, len(edges), COPY_ROWS):
                    part = edges[start : start + COPY_ROWS]
                    text = lines_of([part[:, 0], part[:, 1], np.full(len(part), 1_700_000_000)])
                    await connection.copy_to_table("friends", source=BytesIO(text), format="csv")
            await connection.execute(after)
            await connection.execute("VACUUM ANALYZE")

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """The rows of one query."""
        return list(await self._pool.fetch(sql, *values))

    async def ask(self, me: str, other: str) -> str:
        """Request a friendship, or accept a request."""
        return str(await self._pool.fetchval("SELECT ask($1, $2)", me, other))
