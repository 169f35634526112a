"""Friend suggestions: users with the most mutual friends, each with the reason. A cache, stale-while-revalidate.

The ranking is exact and costs hundreds of milliseconds (a traversal over friends of friends), so it is cached for an
hour for each user and refreshed in the background when it is requested and old. Names, flags and new friendships are
read for every response. Traversals are bounded by load shedding: a few run at once, some wait, more are rejected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graph_service.errors import Unavailable, UserNotFound
from graph_service.graph.driver import Graph
from graph_service.model.model import FriendRow, Suggestion, Suggestions

CACHE_SECONDS = 3600
REFRESH_AFTER_MICROSECONDS = 1800 * 1_000_000
"""The age at which a ranking is refreshed in the background."""
MAX_CANDIDATES = 100
"""Of one ranking; a smaller limit takes the first of them, so one cached ranking serves every limit."""
MAX_QUEUED_TRAVERSALS = 40
"""Users whose traversal runs or waits; at some 0.3 s each the last one waits for six seconds."""
MAX_CONCURRENT_TRAVERSALS = 2
"""A traversal visits some 560,000 paths and fills a core; more at once would only wait for each other."""


class SuggestionsBusy(Unavailable):
    """So many suggestions are being worked out that these would come late. Try again in {retry_after} s."""

    code = "suggestions_busy"


Candidate = tuple[str, int, list[str]]
"""Id, number of mutual friends, and the first three of those."""


class SuggestionCache(Protocol):
    """A cache whose entries may be lost at any time."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none (or the store is away)."""

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Store a value for `seconds`."""

    async def drop(self, keys: Sequence[str]) -> None:
        """Delete values."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The result of a traversal: candidates, their numbers of mutual friends, and the first three of those."""

    ids: list[str]
    counts: list[int]
    firsts: list[list[str]]
    at: int
    """The graph's clock, microseconds since the epoch."""


class SuggestionsFor:
    """Suggestions from one graph, cached between calls."""

    def __init__(self, *, graph: Graph, cache: SuggestionCache) -> None:
        self._graph = graph
        self._cache = cache
        self._traversals = asyncio.Semaphore(MAX_CONCURRENT_TRAVERSALS)
        self._running: dict[str, asyncio.Task[Ranking]] = {}

    async def top(self, me: str, limit: int = 20) -> Suggestions:
        """The `limit` users with the most mutual friends, without friends, requests and blocks of the caller.

        Raises:
            UserNotFound: no such user. GraphUnavailable: the graph does not answer. SuggestionsBusy: too many traversals.
        """
        ranking, cached = await self._ranking(me)
        return Suggestions(
            suggestions=await self._top(me, ranking, limit), calculated_at=ranking.at, cached=cached
        )

    async def forget(self, *users: str) -> None:
        """Drop the cached rankings of users whose friends or blocks changed."""
        await self._cache.drop([_key(user) for user in users])

    async def erase(self, user: str) -> dict[str, int]:
        """Drop one user's cached ranking, for the report of an erase. Rankings of others name the user until read."""
        await self.forget(user)
        return {"dropped": 1}

    async def _ranking(self, me: str) -> tuple[Ranking, bool]:
        found = await self._cache.get(_key(me))
        if found is None:
            return await asyncio.shield(self._traverse(me)), False
        ranking = Ranking(**json.loads(found))
        clock = await self._graph.row("clock") or {}
        if (
            clock["ts"] - ranking.at > REFRESH_AFTER_MICROSECONDS
            and len(self._running) < MAX_QUEUED_TRAVERSALS
        ):
            self._traverse(me)
        return ranking, True

    def _traverse(self, me: str) -> asyncio.Task[Ranking]:
        """The running traversal for a user, or a new one: concurrent calls share it."""
        task = self._running.get(me)
        if task is None:
            if len(self._running) >= MAX_QUEUED_TRAVERSALS:
                raise SuggestionsBusy(retry_after=5)
            task = self._running[me] = asyncio.create_task(self._exact(me), name=f"suggestions-{me}")
            task.add_done_callback(lambda done: self._finished(me, done))
        return task

    def _finished(self, me: str, task: asyncio.Task[Ranking]) -> None:
        self._running.pop(me, None)
        if not task.cancelled():
            task.exception()  # a background refresh has no caller to raise to; the cached ranking stays

    async def _exact(self, me: str) -> Ranking:
        async with self._traversals:
            clock = await self._graph.row("clock") or {}
            row = await self._graph.row("suggestions", me=me, limit=MAX_CANDIDATES)
        if row is None:
            raise UserNotFound(id=me)
        ranking = Ranking(row["ids"], row["counts"], row["firsts"], clock["ts"])
        await self._cache.put(_key(me), json.dumps(_as_dict(ranking)).encode(), CACHE_SECONDS)
        return ranking

    async def _top(self, me: str, ranking: Ranking, limit: int) -> list[Suggestion]:
        """The first `limit` that are still free. Reads twice as many, and all only where over half of those are taken."""
        candidates = list(zip(ranking.ids, ranking.counts, ranking.firsts, strict=True))
        free = await self._free(me, candidates[: 2 * limit])
        if len(free) < limit and len(candidates) > 2 * limit:
            free = await self._free(me, candidates)
        return free[:limit]

    async def _free(self, me: str, candidates: Sequence[Candidate]) -> list[Suggestion]:
        ids = {id_ for id_, _, firsts in candidates for id_ in (id_, *firsts)}
        row = await self._graph.row("suggestion_profiles", me=me, ids=sorted(ids))
        if row is None:
            raise UserNotFound(id=me)
        profiles = {
            id_: (name, online)
            for id_, name, online in zip(row["ids"], row["names"], row["onlines"], strict=True)
        }
        taken = {id_ for id_, gone in zip(row["ids"], row["taken"], strict=True) if gone}
        friends = {id_ for id_, friend in zip(row["ids"], row["friends"], strict=True) if friend}
        return [
            Suggestion(
                id=id_,
                name=profiles[id_][0],
                online=profiles[id_][1],
                mutual_count=count,
                mutuals=[FriendRow(m, *profiles[m], 0) for m in firsts if m in friends],
            )
            for id_, count, firsts in candidates
            if id_ in profiles and id_ not in taken
        ]


def _key(user: str) -> str:
    return f"fp:suggestions:{user}"


def _as_dict(ranking: Ranking) -> dict[str, object]:
    return {"ids": ranking.ids, "counts": ranking.counts, "firsts": ranking.firsts, "at": ranking.at}
