"""Warms up Neo4j's page cache after a start, which the Community edition does not do.

An edge and the friend at its end are on disk until they are read once, and the first commit or sync of a user costs
several times the usual (docs/operate.md). It may run at any time, and repeatedly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graph_service.graph.driver import Graph

PAGE_SIZE = 200
"""Users of one query: some 150,000 edges, about 50 ms when they are in memory already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """How much was read."""

    users: int
    friendships: int
    """Each is read from both ends and counted once."""


async def warm(graph: Graph, advance: Callable[[int], None] = lambda _users: None) -> Warmed:
    """Read every user's friends once. `advance` is called with the number of users of each page.

    Raises:
        GraphUnavailable: the graph does not respond.
    """
    after, users, ends = "", 0, 0
    while (row := await graph.row("warm_page", after=after, limit=PAGE_SIZE)) and row["people"]:
        after, users, ends = row["last"], users + row["people"], ends + row["friendships"]
        advance(row["people"])
    return Warmed(users=users, friendships=ends // 2)
