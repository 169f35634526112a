"""App Context, written behind: each user's flags, and the friends' channel with its active members. A cache only.

The graph is the truth; App Context holds the last state it was told, merged per user, at a rate of its own. A write
that fails is tried again later with what is true then, so it converges after any fault. Members of
``friends.{user}`` are the friends who are online, at most 100: the active part, not the list. While news is late or
the process busy, writing waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

import structlog
from aiolimiter import AsyncLimiter

from graph_service.errors import FriendsError
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph
from graph_service.model import timestamps
from graph_service.model.model import PresenceSnapshot
from graph_service.model.sharding import ShardMap
from pubnub_bridge import metrics

SCHEMA = "1.0.0"
APP_CONTEXT_PER_SECOND = 50
"""Calls a second, at most; what waits is merged. Far fewer while publishing is late or the process is busy."""
MAX_MEMBERS = 100
MAX_WAITING = 100_000
"""Users that wait; beyond it the oldest is left to the next change or reconcile."""
MAX_CONCURRENT_WRITES = 10
RETRY_SECONDS = 1.0
"""Seconds until what could not be written is tried again."""
CALM_WAIT_SECONDS = 10.0
"""Seconds that writing waits at most while news needs all there is."""
_log = structlog.get_logger(__name__)


class Store(Protocol):
    """The part of `client.Client` that is written to."""

    async def set_user(self, user: str, name: str, custom: Mapping[str, Any]) -> None:
        """Write a user's metadata."""

    async def set_channel(self, channel: str, name: str, custom: Mapping[str, Any]) -> None:
        """Write a channel's metadata."""

    async def members(self, channel: str) -> set[str]:
        """The first hundred members."""

    async def change_members(
        self, channel: str, added: Mapping[str, Mapping[str, Any]], removed: Sequence[str]
    ) -> None:
        """Add and remove members."""

    async def remove_user(self, user: str) -> None:
        """Forget a user's metadata."""

    async def remove_channel(self, channel: str) -> None:
        """Forget a channel's metadata."""


class Reads(Protocol):
    """What is read of the graph when it is a user's turn."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock of each user."""

    async def active(self, user: str, limit: int) -> Sequence[tuple[str, int]] | None:
        """The active friends, each with the unix seconds since when, 0 when not known; None for an unknown user."""


class GraphReads:
    """Reads by named queries."""

    def __init__(self, graph: Graph, flags: Flags) -> None:
        self._graph = graph
        self._flags = flags

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock of each user."""
        return await self._flags.read_snapshots(ids)

    async def active(self, user: str, limit: int) -> Sequence[tuple[str, int]] | None:
        """Online now first, then the most recently seen."""
        row = await self._graph.row("active_friends", me=user, limit=limit)
        return list(zip(row["ids"], row["sinces"], strict=True)) if row else None


@dataclass(frozen=True, slots=True)
class Members:
    """What is to change on one friends' channel: who is added, with since when, and who is removed."""

    added: Mapping[str, int]
    removed: Sequence[str]


def members(now: Collection[str], wanted: Sequence[tuple[str, int]]) -> Members:
    """From who is a member to who should be."""
    keep = dict(wanted[:MAX_MEMBERS])
    added = {user: since for user, since in keep.items() if user not in now}
    return Members(added, [user for user in now if user not in keep])


def member_custom(since: int) -> dict[str, Any]:
    """`custom` of a membership; values must be scalars (PubNub docs: App Context limits)."""
    return {
        "schemaVersion": SCHEMA,
        "addedAt": timestamps.microseconds(since * 1_000_000),
        "status": "accepted",
    }


def user_custom(told: PresenceSnapshot, shard: int) -> dict[str, Any]:
    """`custom` of a user; the invisible are shown offline."""
    return {
        "schemaVersion": SCHEMA,
        "online": told.online,
        "lastSeen": timestamps.microseconds(told.last_seen * 1000),
        "shardId": shard,
        "friendCount": told.total_friends,
    }


class AppContext:
    """The cache's writer."""

    def __init__(
        self,
        store: Store,
        reads: Reads,
        shards: ShardMap,
        extent: Literal["off", "flags", "full"],
        rate: int,
    ) -> None:
        self._store = store
        self._reads = reads
        self._shards = shards
        self._extent = extent
        self._limiter = AsyncLimiter(rate, 1.0)
        self._waiting: dict[str, bool] = {}
        """Who is to be written: with all that is kept of them, or only who their friends' channel holds."""
        self._woken = asyncio.Event()

    def touch(self, users: Collection[str], own: bool = True) -> None:
        """These users have changed, or with `own` false only who of their friends is online.

        What is written is read when it is their turn.
        """
        if self._extent == "off":
            return
        for user in users:
            self._waiting[user] = own or self._waiting.get(user, False)
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._woken.set()

    def settled(self, told: Sequence[PresenceSnapshot]) -> None:
        """Users whose state was settled; with full extent their online friends' channels change as well."""
        self.touch([one.user for one in told])
        if self._extent == "full":
            self.touch([friend for one in told for friend in one.online_friends[:MAX_MEMBERS]], own=False)

    async def run(self, *, busy: Callable[[], bool]) -> None:
        """Write without end, but wait while the process is `busy` with what is more important."""
        while True:
            await self._woken.wait()
            await self._calm(busy)
            batch = dict(islice(self._waiting.items(), MAX_CONCURRENT_WRITES))
            if not batch:
                self._woken.clear()
                continue
            for user in batch:
                del self._waiting[user]
            try:
                await self._written(batch)
            except FriendsError as error:
                _log.warning("App Context waits", reason=str(error))
                for user, own in batch.items():
                    self.touch([user], own)
                await asyncio.sleep(RETRY_SECONDS)

    async def _calm(self, busy: Callable[[], bool]) -> None:
        """A cache can wait while news cannot; not for ever, so that it converges under any load."""
        until = time.monotonic() + CALM_WAIT_SECONDS
        while busy() and time.monotonic() < until:  # noqa: ASYNC110 - it is measured, nobody sets it
            await asyncio.sleep(0.1)

    async def _written(self, batch: Mapping[str, bool]) -> None:
        """Users with all that is kept of them, and of the others their friends' channel."""
        own = [user for user, changed in batch.items() if changed]
        told = await self._reads.read_snapshots(own) if own else []
        gone = set(own) - {one.user for one in told}
        tries = [
            *(self._tried(one.user, self._write(one)) for one in told),
            *(self._tried(user, self._remove(user)) for user in gone),
            *(self._tried(user, self._write_members(user), own=False) for user in batch.keys() - own),
        ]
        await asyncio.gather(*tries)

    async def _remove(self, user: str) -> None:
        """Someone who was erased while a write of theirs was under way."""
        async with self._limiter:
            await self._store.remove_user(user)
        async with self._limiter:
            await self._store.remove_channel(f"friends.{user}")

    async def erase(self, user: str) -> Mapping[str, Any]:
        """Forget a user and their friends' channel; for the report of an erase."""
        self._waiting.pop(user, None)
        if self._extent == "off":
            return {"written": False}
        await self._store.remove_user(user)
        await self._store.remove_channel(f"friends.{user}")
        return {"user": "removed", "channel": f"friends.{user} removed"}

    async def _tried(self, user: str, writing: Awaitable[None], own: bool = True) -> None:
        """Do it, or have it done later with what is true then."""
        try:
            await writing
        except FriendsError as error:
            metrics.APP_CONTEXT.labels("failed").inc()
            _log.warning("App Context was not written", user=user, reason=str(error))
            if error.temporary:
                self.touch([user], own)
                await asyncio.sleep(RETRY_SECONDS)
        else:
            metrics.APP_CONTEXT.labels("written").inc()

    async def _write(self, told: PresenceSnapshot) -> None:
        async with self._limiter:
            shard = self._shards.shard(told.user)
            await self._store.set_user(told.user, told.name or told.user, user_custom(told, shard))
        if self._extent == "full":
            custom = {"schemaVersion": SCHEMA, "ownerId": told.user, "friendCount": told.total_friends}
            async with self._limiter:
                name = f"{told.name or told.user}'s Friends"
                await self._store.set_channel(f"friends.{told.user}", name, custom)
            await self._write_members(told.user)

    async def _write_members(self, user: str) -> None:
        channel = f"friends.{user}"
        wanted = await self._reads.active(user, MAX_MEMBERS)
        if wanted is None:
            return await self._remove(user)
        async with self._limiter:
            change = members(await self._store.members(channel), wanted)
        added = list(change.added.items())
        for start in range(0, max(len(added), len(change.removed)), 50):
            customs = {user: member_custom(since) for user, since in added[start : start + 50]}
            async with self._limiter:
                await self._store.change_members(channel, customs, change.removed[start : start + 50])
        return None
