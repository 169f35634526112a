"""Bulk upsert of friendships: one locked transaction for up to `MAX_PAIRS` pairs, one result for each, idempotent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graph_service.friends.friends import Changed
from graph_service.graph.driver import Graph, Row, Transaction
from graph_service.model.model import Pair, PairOutcome, PairResult

MAX_PAIRS = 1_000
"""Of one call: at most 2,000 locks, held for tens of milliseconds."""


class Bulk:
    """Bulk upsert of friendships. `changed` is called with both ids after the commit of each new one.

    Every method raises GraphUnavailable when the graph does not respond.
    """

    def __init__(self, *, graph: Graph, friend_limit: int = 10_000, changed: Changed) -> None:
        self._graph = graph
        self._friend_limit = friend_limit
        self._changed = changed

    async def batch(self, pairs: Sequence[Pair], notify: bool = True) -> list[PairResult]:
        """Make friends of each pair that the rules allow, in one transaction.

        `notify` writes outbox nodes, so that both ends are notified; a first import leaves them out.
        """
        ids = sorted({id_ for pair in pairs for id_ in (pair.a, pair.b)})

        async def work(tx: Transaction) -> list[PairResult]:
            rows = await tx.run("pairs_lock", ids=ids, pairs=[[pair.a, pair.b] for pair in pairs])
            results = decide(pairs, rows[0], self._friend_limit)
            new = [
                [*sorted((pair.a, pair.b)), pair.since]
                for pair, result in zip(pairs, results, strict=True)
                if result.result is PairOutcome.CREATED
            ]
            if new:
                await tx.run("pairs_create", pairs=new, tell=notify)
            return results

        results = await self._graph.transaction("pairs", work)
        for result in results:
            if result.result is PairOutcome.CREATED:
                await self._changed(result.a, result.b)
        return results


def decide(pairs: Sequence[Pair], locked: Row, friend_limit: int) -> list[PairResult]:
    """The result for each pair, from what the lock read. Pure: earlier pairs of the batch count towards limits."""
    degrees = Counter(dict(zip(locked["ids"], locked["degrees"], strict=True)))
    states = {(a, b): state for a, b, state in locked["states"]}
    created: set[frozenset[str]] = set()
    results = []
    for pair in pairs:
        both = frozenset((pair.a, pair.b))
        outcome, reason = PairOutcome.REFUSED, _refusal(pair, degrees, states, friend_limit)
        if both in created or states.get((pair.a, pair.b)) == "friends":
            outcome, reason = PairOutcome.EXISTS, ""
        elif not reason:
            outcome = PairOutcome.CREATED
            created.add(both)
            degrees.update(both)
        results.append(PairResult(a=pair.a, b=pair.b, result=outcome, reason=reason))
    return results


def _refusal(pair: Pair, degrees: Counter[str], states: dict[tuple[str, str], str], friend_limit: int) -> str:
    if pair.a == pair.b:
        return "self"
    unknown = [id_ for id_ in (pair.a, pair.b) if id_ not in degrees]
    if unknown:
        return f"unknown id {unknown[0]}"
    if states.get((pair.a, pair.b)) == "blocked":
        return "blocked"
    full = [id_ for id_ in (pair.a, pair.b) if degrees[id_] >= friend_limit]
    return f"over the limit of {friend_limit} friends: {full[0]}" if full else ""
