"""People one may know, each with the reason. Knows queries and where answers are kept; no HTTP.

The ranking is exact and costs hundreds of milliseconds, so it is kept per user for an hour and refreshed in the
background when it is asked for and old. Names, flags and new friendships are read fresh for every answer.
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
REFRESH_AFTER_SECONDS = 1800 * 1_000_000
"""Microseconds after which an answer is refreshed in the background."""
MAX_CANDIDATES = 100
"""Candidates of one ranking; asking for fewer cuts them, so one kept answer serves every limit."""
MAX_QUEUED_WALKS = 40
"""Users whose walk is under way or waits; with some 0.3 s a walk the last one waits for six seconds."""
MAX_CONCURRENT_WALKS = 2
"""A walk visits some 560,000 paths and fills a core; more at once would only wait for each other."""


class SuggestionsBusy(Unavailable):
    """So many suggestions are being worked out that these would come late. Try again in {retry_after} s."""

    code = "suggestions_busy"


Candidate = tuple[str, int, list[str]]
"""An id, its number of mutual friends, and the first three of those."""


class SuggestionCache(Protocol):
    """Small answers that may be lost at any time."""

    async def get(self, key: str) -> bytes | None:
        """The answer, or None where there is none (or the store is away)."""

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keeps an answer for so long."""

    async def drop(self, keys: Sequence[str]) -> None:
        """Forgets answers."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a walk found: candidates, their numbers of mutual friends, and the first three of those."""

    ids: list[str]
    counts: list[int]
    firsts: list[list[str]]
    at: int


class SuggestionsFor:
    """Suggestions of one graph, kept between calls."""

    def __init__(self, graph: Graph, kept: SuggestionCache) -> None:
        self._graph = graph
        self._kept = kept
        self._walks = asyncio.Semaphore(MAX_CONCURRENT_WALKS)
        self._under_way: dict[str, asyncio.Task[Ranking]] = {}

    async def top(self, me: str, limit: int = 20) -> Suggestions:
        """The `limit` people with the most mutual friends, none of them a friend, asked or blocked.

        Raises:
            UserNotFound: no such user. GraphUnavailable: the graph does not answer. SuggestionsBusy: too many walks.
        """
        ranking, kept = await self._ranking(me)
        return Suggestions(await self._people(me, ranking, limit), ranking.at, kept)

    async def forget(self, *users: str) -> None:
        """Drops the kept answers of users whose friends or blocks changed."""
        await self._kept.drop([_key(user) for user in users])

    async def erase(self, user: str) -> dict[str, int]:
        """Forgets what is kept for one user, for the report of an erase. Others' answers name the user until read."""
        await self.forget(user)
        return {"dropped": 1}

    async def _ranking(self, me: str) -> tuple[Ranking, bool]:
        found = await self._kept.get(_key(me))
        if found is None:
            return await asyncio.shield(self._walk(me)), False
        ranking = Ranking(**json.loads(found))
        clock = await self._graph.row("clock") or {}
        if clock["ts"] - ranking.at > REFRESH_AFTER_SECONDS and len(self._under_way) < MAX_QUEUED_WALKS:
            self._walk(me)
        return ranking, True

    def _walk(self, me: str) -> asyncio.Task[Ranking]:
        """One walk a user at a time: who asks while it runs waits for the same one."""
        task = self._under_way.get(me)
        if task is None:
            if len(self._under_way) >= MAX_QUEUED_WALKS:
                raise SuggestionsBusy(retry_after=5)
            task = self._under_way[me] = asyncio.create_task(self._exact(me), name=f"suggestions-{me}")
            task.add_done_callback(lambda done: self._walked(me, done))
        return task

    def _walked(self, me: str, task: asyncio.Task[Ranking]) -> None:
        self._under_way.pop(me, None)
        if not task.cancelled():
            task.exception()  # a background refresh has nobody to raise to; the kept answer stays

    async def _exact(self, me: str) -> Ranking:
        async with self._walks:
            clock = await self._graph.row("clock") or {}
            row = await self._graph.row("suggestions", me=me, limit=MAX_CANDIDATES)
        if row is None:
            raise UserNotFound(id=me)
        ranking = Ranking(row["ids"], row["counts"], row["firsts"], clock["ts"])
        await self._kept.put(_key(me), json.dumps(_plain(ranking)).encode(), CACHE_SECONDS)
        return ranking

    async def _people(self, me: str, ranking: Ranking, limit: int) -> list[Suggestion]:
        """Twice as many as asked for are looked at; all of them only where more than half are taken by now."""
        candidates = list(zip(ranking.ids, ranking.counts, ranking.firsts, strict=True))
        people = await self._free(me, candidates[: 2 * limit])
        if len(people) < limit and len(candidates) > 2 * limit:
            people = await self._free(me, candidates)
        return people[:limit]

    async def _free(self, me: str, candidates: Sequence[Candidate]) -> list[Suggestion]:
        ids = {id_ for id_, _, firsts in candidates for id_ in (id_, *firsts)}
        row = await self._graph.row("suggestion_profiles", me=me, ids=sorted(ids))
        if row is None:
            raise UserNotFound(id=me)
        cards = {
            id_: (name, online)
            for id_, name, online in zip(row["ids"], row["names"], row["onlines"], strict=True)
        }
        taken = {id_ for id_, gone in zip(row["ids"], row["taken"], strict=True) if gone}
        friends = {id_ for id_, friend in zip(row["ids"], row["friends"], strict=True) if friend}
        return [
            Suggestion(id_, *cards[id_], count, [FriendRow(m, *cards[m], 0) for m in firsts if m in friends])
            for id_, count, firsts in candidates
            if id_ in cards and id_ not in taken
        ]


def _key(user: str) -> str:
    return f"fp:suggestions:{user}"


def _plain(ranking: Ranking) -> dict[str, object]:
    return {"ids": ranking.ids, "counts": ranking.counts, "firsts": ranking.firsts, "at": ranking.at}
