"""Many friendships in one locked transaction. Knows the rules for a pair; reads no files and serves no HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graph_service.friends.friends import Changed, ignore_changes
from graph_service.graph.driver import Graph, Row, Transaction
from graph_service.model.model import Pair, PairOutcome, PairResult

MOST_PAIRS = 1_000
"""Pairs of one call: 2,000 locks at most, held for tens of milliseconds."""


class Bulk:
    """Upserts of friendships, an answer a pair; a repeat changes nothing.

    Every method raises GraphUnavailable when the graph does not answer.
    """

    def __init__(self, graph: Graph, friend_limit: int = 10_000, changed: Changed = ignore_changes) -> None:
        self._graph = graph
        self._friend_limit = friend_limit
        self._changed = changed

    async def batch(self, pairs: Sequence[Pair], tell: bool = True) -> list[PairResult]:
        """Makes friends of each pair that the rules allow, in one transaction.

        `tell` writes outbox nodes, so that both ends hear of it; a first import leaves it out.
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
                await tx.run("pairs_create", pairs=new, tell=tell)
            return results

        results = await self._graph.transaction("pairs", work)
        for result in results:
            if result.result is PairOutcome.CREATED:
                await self._changed(result.a, result.b)
        return results


def decide(pairs: Sequence[Pair], locked: Row, friend_limit: int) -> list[PairResult]:
    """What becomes of each pair, given what the lock read. Pure: counts the batch's own pairs as it goes."""
    degrees = Counter(dict(zip(locked["ids"], locked["degrees"], strict=True)))
    states = {(a, b): state for a, b, state in locked["states"]}
    made: set[frozenset[str]] = set()
    results = []
    for pair in pairs:
        both = frozenset((pair.a, pair.b))
        answer, reason = PairOutcome.REFUSED, _refusal(pair, degrees, states, friend_limit)
        if both in made or states.get((pair.a, pair.b)) == "friends":
            answer, reason = PairOutcome.EXISTS, ""
        elif not reason:
            answer = PairOutcome.CREATED
            made.add(both)
            degrees.update(both)
        results.append(PairResult(pair.a, pair.b, answer, reason))
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
