"""The demo people in the graph: made up once, found again at the next start. Knows queries; knows no network.

An empty graph is filled the fast way. A load that was interrupted is finished by the rules of a bulk import, which
skip what is there. A graph that holds people of its own is left as it is, and its people play the demo.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from graph_service.friends.bulk import MOST_PAIRS, Bulk
from graph_service.friends.users import UserProfile, Users
from graph_service.graph.driver import Graph
from graph_service.model.model import Pair
from graph_service.model.sharding import ShardMap
from local_stack.data.generate import Population, generate

MIN_FRIENDS, MAX_FRIENDS = 500, 1000
"""Friends of one demo person, as far as there are enough people."""
SEED = 1
FRIENDSHIPS_PER_TRANSACTION = 20_000
"""Friendships of one transaction: larger ones are no faster and take more of the server's heap."""
USERS_PER_TRANSACTION = 5_000
MAX_NEWCOMERS = 3

Report = Callable[[str], None]
Rows = list[tuple[int, list[int]]]


class DemoGraph:
    """The demo people of one graph. `marker` is a file that is there while a load is under way."""

    def __init__(self, graph: Graph, shards: ShardMap, marker: Path) -> None:
        self._graph = graph
        self._people = Users(graph, shards.shard)
        self._marker = marker

    async def people(self, count: int, report: Report) -> list[str]:
        """The ids of up to `count` people who can play the demo, in order of id; made up where there are none."""
        found = int((await self._graph.row("users_count") or {})["people"])
        if found and not self._marker.exists():
            return await self._present(count)
        report(f"making up {count:,} people with {MIN_FRIENDS} to {MAX_FRIENDS} friends each")
        population = generate(count, MIN_FRIENDS, MAX_FRIENDS, SEED)
        self._marker.touch()
        await self._load(population, fast=not found)
        self._marker.unlink()
        report(f"{count:,} people and {len(population.pairs):,} friendships are in the graph")
        return population.ids

    async def newcomers(self, people: Sequence[str]) -> list[str]:
        """Three people for the reader to be: one and two of their friends. The demo leaves them alone."""
        if not people:
            return []
        row = await self._graph.row("friends_page", me=people[0], after="", limit=50, online=None) or {}
        friends = [friend for friend in row.get("ids", []) if friend in set(people)]
        return [people[0], *friends[: MAX_NEWCOMERS - 1]]

    async def _present(self, count: int) -> list[str]:
        rows = await self._graph.rows("first_users", limit=count)
        return [row["id"] for row in rows]

    async def _load(self, population: Population, fast: bool) -> None:
        everybody = [UserProfile(*both) for both in zip(population.ids, population.names, strict=True)]
        for at in range(0, len(everybody), USERS_PER_TRANSACTION):
            await self._people.upsert_many(everybody[at : at + USERS_PER_TRANSACTION])
        if fast:
            for rows in batches(population):
                await self._graph.write("first_friendships", ids=population.ids, rows=rows)
            return
        bulk = Bulk(self._graph)
        async for pairs in _pairs(population):
            await bulk.batch(pairs, tell=False)


def batches(population: Population) -> Iterator[Rows]:
    """All friendships by the person of the smaller id, about `BATCH` at a time."""
    starts = np.searchsorted(population.pairs[:, 0], np.arange(len(population.ids) + 1))
    rows: Rows = []
    size = 0
    for person, (start, end) in enumerate(pairwise(starts.tolist())):
        if start == end:
            continue
        rows.append((person, population.pairs[start:end, 1].tolist()))
        size += end - start
        if size >= FRIENDSHIPS_PER_TRANSACTION:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


async def _pairs(population: Population) -> AsyncIterator[list[Pair]]:
    for at in range(0, len(population.pairs), MOST_PAIRS):
        part = population.pairs[at : at + MOST_PAIRS].tolist()
        yield [Pair(population.ids[a], population.ids[b]) for a, b in part]
