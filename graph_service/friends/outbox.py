"""The transactional outbox: pairs whose relation changed, with their state as read after the commit."""

from __future__ import annotations

from collections.abc import Sequence

from graph_service.graph.driver import Graph, Row
from graph_service.model.model import ChangedPair, End, rounded_down


class Outbox:
    """The outbox nodes in the graph; the relay reads them and removes what it has stored elsewhere.

    Every method raises GraphUnavailable when the graph does not respond.
    """

    def __init__(self, *, graph: Graph, last_seen_rounding_seconds: int = 0) -> None:
        self._graph = graph
        self._rounding = last_seen_rounding_seconds

    async def read(self, limit: int = 500) -> list[ChangedPair]:
        """The oldest changed pairs, each with its present relation, both flags and the clock of the read."""
        return [_pair(row, self._rounding) for row in await self._graph.rows("outbox_read", limit=limit)]

    async def done(self, nodes: Sequence[str]) -> None:
        """Delete nodes, once their notifications are stored elsewhere. Idempotent."""
        await self._graph.write("outbox_done", nodes=list(nodes))


def _pair(row: Row, rounding: int) -> ChangedPair:
    a, b = (_end(row, end, rounding) for end in ("a", "b"))
    return ChangedPair(
        node=row["node"], a=a, b=b, friends=row["friends"], since=row["since"] or 0, ts=row["ts"]
    )


def _end(row: Row, end: str, rounding: int) -> End:
    return End(
        id=row[end],
        exists=row[f"{end}_present"] is not None,
        name=row[f"{end}_name"] or "",
        present=bool(row[f"{end}_present"]),
        invisible=bool(row[f"{end}_invisible"]),
        presence_at=row[f"{end}_presence_at"] or 0,
        last_seen=rounded_down(row[f"{end}_last_seen"] or 0, rounding),
        asked=bool(row[f"{end}_asked"]),
        blocked=bool(row[f"{end}_blocked"]),
    )
