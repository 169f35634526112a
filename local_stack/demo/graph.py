"""The demo users in the graph: generated at the first start, found again at later ones.

An empty graph is filled with unchecked inserts, which are faster. An interrupted load, which its marker file shows, is
completed with the rules of a bulk import, which skip existing friendships. A graph that already has other users is not
changed, and those users are the demo's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from graph_service.friends.bulk import MAX_PAIRS, Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.model import Pair
from graph_service.model.sharding import ShardMap
from local_stack.data.generate import Population, generate

MIN_FRIENDS, MAX_FRIENDS = 500, 1000
"""Friends of one demo user; fewer where there are not enough users."""
SEED = 1
FRIENDSHIPS_PER_TRANSACTION = 20_000
"""Larger transactions are no faster and take more of the server's heap."""
USERS_PER_TRANSACTION = 5_000
MAX_RESERVED_USERS = 3

Report = Callable[[str], None]
Rows = list[tuple[int, list[int]]]


class DemoGraph:
    """The demo users of one graph. `marker` is a file that exists while a load is incomplete."""

    def __init__(self, *, graph: Graph, shards: ShardMap, marker: Path) -> None:
        self._graph = graph
        self._users = Users(
            graph=graph, shard_of=shards.shard, changed=ignore_changes, created=ignore_created
        )
        self._marker = marker

    async def people(self, count: int, report: Report) -> list[str]:
        """The ids of up to `count` users for the demo, in order of id; generated where the graph has none."""
        found = int((await self._graph.row("users_count") or {})["people"])
        if found and not self._marker.exists():
            return await self._present(count)
        report(f"generating {count:,} people with {MIN_FRIENDS} to {MAX_FRIENDS} friends each")
        population = generate(count, MIN_FRIENDS, MAX_FRIENDS, SEED)
        self._marker.touch()
        await self._load(population, fast=not found)
        self._marker.unlink()
        report(f"{count:,} people and {len(population.pairs):,} friendships are in the graph")
        return population.ids

    async def reserved_users(self, users: Sequence[str]) -> list[str]:
        """Up to three users whom the demo does not play, for the reader to be: one and two of their friends."""
        if not users:
            return []
        row = await self._graph.row("friends_page", me=users[0], after="", limit=50, online=None) or {}
        friends = [friend for friend in row.get("ids", []) if friend in set(users)]
        return [users[0], *friends[: MAX_RESERVED_USERS - 1]]

    async def _present(self, count: int) -> list[str]:
        rows = await self._graph.rows("first_users", limit=count)
        return [row["id"] for row in rows]

    async def _load(self, population: Population, fast: bool) -> None:
        profiles = [UserProfile(*both) for both in zip(population.ids, population.names, strict=True)]
        for at in range(0, len(profiles), USERS_PER_TRANSACTION):
            await self._users.upsert_many(profiles[at : at + USERS_PER_TRANSACTION])
        if fast:
            for rows in batches(population):
                await self._graph.write("first_friendships", ids=population.ids, rows=rows)
            return
        bulk = Bulk(graph=self._graph, changed=ignore_changes)
        async for pairs in _pairs(population):
            await bulk.batch(pairs, notify=False)


def batches(population: Population) -> Iterator[Rows]:
    """All friendships by the user of the smaller id, about `FRIENDSHIPS_PER_TRANSACTION` at a time."""
    starts = np.searchsorted(population.pairs[:, 0], np.arange(len(population.ids) + 1))
    rows: Rows = []
    size = 0
    for user, (start, end) in enumerate(pairwise(starts.tolist())):
        if start == end:
            continue
        rows.append((user, population.pairs[start:end, 1].tolist()))
        size += end - start
        if size >= FRIENDSHIPS_PER_TRANSACTION:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


async def _pairs(population: Population) -> AsyncIterator[list[Pair]]:
    for at in range(0, len(population.pairs), MAX_PAIRS):
        part = population.pairs[at : at + MAX_PAIRS].tolist()
        yield [Pair(population.ids[a], population.ids[b]) for a, b in part]
