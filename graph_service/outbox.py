"""Changed pairs that wait to be told. Knows that a pair changed and how it stands now; not who is told what."""

from __future__ import annotations

from collections.abc import Sequence

from graph_service.model import ChangedPair, End
from graph_service.neo4j import Graph, Row


class Outbox:
    """The outbox nodes, read after the commit of the change that wrote them.

    Every method raises GraphUnavailable when the graph does not answer.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def read(self, limit: int = 500) -> list[ChangedPair]:
        """The oldest changed pairs, each with its present relation, both flags and one clock."""
        return [_pair(row) for row in await self._graph.rows("outbox_read", limit=limit)]

    async def done(self, nodes: Sequence[str]) -> None:
        """Forgets pairs by their nodes, once what is told of them is kept elsewhere. A repeat is harmless."""
        await self._graph.write("outbox_done", nodes=list(nodes))


def _pair(row: Row) -> ChangedPair:
    return ChangedPair(
        row["node"], _end(row, "a"), _end(row, "b"), row["friends"], row["since"] or 0, row["ts"]
    )


def _end(row: Row, end: str) -> End:
    return End(
        id=row[end],
        exists=row[f"{end}_present"] is not None,
        name=row[f"{end}_name"] or "",
        present=bool(row[f"{end}_present"]),
        invisible=bool(row[f"{end}_invisible"]),
        presence_at=row[f"{end}_presence_at"] or 0,
        last_seen=row[f"{end}_last_seen"] or 0,
        asked=bool(row[f"{end}_asked"]),
        blocked=bool(row[f"{end}_blocked"]),
    )
