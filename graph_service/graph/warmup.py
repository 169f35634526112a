"""Reading the graph into Neo4j's memory after it was started: Community does not do it by itself. Knows pages only.

Until an edge and the friend at its end were read once they are on the disk, and the first settle or sync of a user
costs several times the usual (docs/operate.md). Any time is good, twice does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graph_service.graph.driver import Graph

PAGE_SIZE = 200
"""People of one page: some 150,000 edges, about 50 ms when they are in memory already."""


@dataclass(frozen=True, slots=True)
class Warmed:
    """What was read."""

    people: int
    friendships: int
    """Each is read from both ends and counted once."""


async def warm(graph: Graph, advance: Callable[[int], None] = lambda _people: None) -> Warmed:
    """Reads everyone's friends once.

    Raises:
        GraphUnavailable: the graph does not answer.
    """
    after, people, ends = "", 0, 0
    while (row := await graph.row("warm_page", after=after, limit=PAGE_SIZE)) and row["people"]:
        after, people, ends = row["last"], people + row["people"], ends + row["friendships"]
        advance(row["people"])
    return Warmed(people, ends // 2)
