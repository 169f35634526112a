"""App Context, written behind: each user's flags, and the channel of their friends with its active members.

A copy that is never read to decide anything; the graph is the truth. Writes are merged for each user and rate limited.
What is written is read when it is the user's turn, and a failed write is repeated with what is true then, so the copy
converges after any fault. Members of ``friends.{user}`` are the online friends, then the most recently online ones, at
most 100: the active part, not the list. Writing waits while notifications are late or the process is busy.
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
MAX_MEMBERS = 100
MAX_PENDING_USERS = 100_000
"""Beyond it the oldest is dropped, until the next change or reconcile."""
MAX_CONCURRENT_WRITES = 10
MAX_MEMBERS_PER_CALL = 50
RETRY_SECONDS = 1.0
MAX_PRESSURE_WAIT_SECONDS = 10.0
"""How long writing waits at most under pressure; bounded, so the copy converges under any load."""
PRESSURE_POLL_SECONDS = 0.1
_log = structlog.get_logger(__name__)


class Store(Protocol):
    """The part of `sdk.PubNubSdk` that is written to."""

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
        """Delete a user's metadata."""

    async def remove_channel(self, channel: str) -> None:
        """Delete a channel's metadata."""


class Reads(Protocol):
    """What is read of the graph when it is a user's turn."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock of each user."""

    async def active(self, user: str, limit: int) -> Sequence[tuple[str, int]] | None:
        """The active friends, each with the unix seconds since when, 0 when not known; None for an unknown user."""


class GraphReads:
    """Reads by named queries."""

    def __init__(self, *, graph: Graph, flags: Flags) -> None:
        self._graph = graph
        self._flags = flags

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock of each user."""
        return await self._flags.read_snapshots(ids)

    async def active(self, user: str, limit: int) -> Sequence[tuple[str, int]] | None:
        """Online friends first, then the most recently online."""
        row = await self._graph.row("active_friends", me=user, limit=limit)
        return list(zip(row["ids"], row["sinces"], strict=True)) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The change of one friends' channel: whom to add, each with the unix seconds since when, and whom to remove."""

    added: Mapping[str, int]
    removed: Sequence[str]


def members(now: Collection[str], wanted: Sequence[tuple[str, int]]) -> Members:
    """The change from the present members to the wanted ones, of whom the first hundred count."""
    target = dict(wanted[:MAX_MEMBERS])
    added = {user: since for user, since in target.items() if user not in now}
    return Members(added=added, removed=[user for user in now if user not in target])


def member_custom(since: int) -> dict[str, Any]:
    """`custom` of a membership; values must be scalars (PubNub docs: App Context limits). `since` in unix seconds."""
    return {
        "schemaVersion": SCHEMA,
        "addedAt": timestamps.microseconds(since * 1_000_000),
        "status": "accepted",
    }


def user_custom(snapshot: PresenceSnapshot, shard: int) -> dict[str, Any]:
    """`custom` of a user; invisible users are shown offline."""
    return {
        "schemaVersion": SCHEMA,
        "online": snapshot.online,
        "lastSeen": timestamps.microseconds(snapshot.last_seen * 1000),
        "shardId": shard,
        "friendCount": snapshot.total_friends,
    }


class AppContext:
    """The write-behind queue and its writer. `extent` says what is written: nothing, flags, or flags and members."""

    def __init__(
        self,
        *,
        store: Store,
        reads: Reads,
        shards: ShardMap,
        extent: Literal["off", "flags", "full"],
        writes_per_second: int,
    ) -> None:
        self._store = store
        self._reads = reads
        self._shards = shards
        self._extent = extent
        self._limiter = AsyncLimiter(writes_per_second, 1.0)
        self._pending: dict[str, bool] = {}
        """Users to be written, oldest first: True for everything, False for the members of their channel only."""
        self._woken = asyncio.Event()

    def touch(self, users: Collection[str], own: bool = True) -> None:
        """These users have changed or, with `own` false, only which of their friends are online."""
        if self._extent == "off":
            return
        for user in users:
            self._pending[user] = own or self._pending.get(user, False)
        while len(self._pending) > MAX_PENDING_USERS:
            del self._pending[next(iter(self._pending))]
        self._woken.set()

    def on_committed(self, snapshots: Sequence[PresenceSnapshot]) -> None:
        """Changes were committed; with full extent the channels of the users' online friends change as well."""
        self.touch([one.user for one in snapshots])
        if self._extent == "full":
            friends = [friend for one in snapshots for friend in one.online_friends[:MAX_MEMBERS]]
            self.touch(friends, own=False)

    async def run(self, *, under_pressure: Callable[[], bool]) -> None:
        """Write until it is cancelled. While `under_pressure()`, notifications need everything there is."""
        while True:
            await self._woken.wait()
            await self._wait_for_calm(under_pressure)
            batch = dict(islice(self._pending.items(), MAX_CONCURRENT_WRITES))
            if not batch:
                self._woken.clear()
                continue
            # Taken out before the read: a change during the write makes the user pending again.
            for user in batch:
                del self._pending[user]
            try:
                await self._write_batch(batch)
            except FriendsError as error:
                _log.warning("app_context.read.retrying", users=len(batch), reason=str(error))
                for user, own in batch.items():
                    self.touch([user], own)
                await asyncio.sleep(RETRY_SECONDS)

    async def _wait_for_calm(self, under_pressure: Callable[[], bool]) -> None:
        until = time.monotonic() + MAX_PRESSURE_WAIT_SECONDS
        while under_pressure() and time.monotonic() < until:  # noqa: ASYNC110 - it is measured, no event is set
            await asyncio.sleep(PRESSURE_POLL_SECONDS)

    async def _write_batch(self, batch: Mapping[str, bool]) -> None:
        """Everything of the changed users; of the others the members of their channel."""
        own = [user for user, changed in batch.items() if changed]
        snapshots = await self._reads.read_snapshots(own) if own else []
        erased = set(own) - {one.user for one in snapshots}
        writes = [
            *(self._attempt(one.user, self._write(one)) for one in snapshots),
            *(self._attempt(user, self._remove(user)) for user in erased),
            *(self._attempt(user, self._write_members(user), own=False) for user in batch.keys() - own),
        ]
        await asyncio.gather(*writes)

    async def _remove(self, user: str) -> None:
        """A user who was erased while a write was pending."""
        async with self._limiter:
            await self._store.remove_user(user)
        async with self._limiter:
            await self._store.remove_channel(f"friends.{user}")

    async def erase(self, user: str) -> Mapping[str, Any]:
        """Delete the copy of a user and of their friends' channel; returns the lines of an erasure report."""
        self._pending.pop(user, None)
        if self._extent == "off":
            return {"written": False}
        await self._store.remove_user(user)
        await self._store.remove_channel(f"friends.{user}")
        return {"user": "removed", "channel": f"friends.{user} removed"}

    async def _attempt(self, user: str, write: Awaitable[None], own: bool = True) -> None:
        """Write; after a temporary error the user is pending again, with what is true then."""
        try:
            await write
        except FriendsError as error:
            metrics.APP_CONTEXT.labels("failed").inc()
            _log.warning("app_context.write.failed", user=user, reason=str(error), retried=error.temporary)
            if error.temporary:
                self.touch([user], own)
                await asyncio.sleep(RETRY_SECONDS)
        else:
            metrics.APP_CONTEXT.labels("written").inc()

    async def _write(self, snapshot: PresenceSnapshot) -> None:
        user, name = snapshot.user, snapshot.name or snapshot.user
        async with self._limiter:
            await self._store.set_user(user, name, user_custom(snapshot, self._shards.shard(user)))
        if self._extent == "full":
            custom = {"schemaVersion": SCHEMA, "ownerId": user, "friendCount": snapshot.total_friends}
            async with self._limiter:
                await self._store.set_channel(f"friends.{user}", f"{name}'s Friends", custom)
            await self._write_members(user)

    async def _write_members(self, user: str) -> None:
        channel = f"friends.{user}"
        wanted = await self._reads.active(user, MAX_MEMBERS)
        if wanted is None:
            return await self._remove(user)
        async with self._limiter:
            change = members(await self._store.members(channel), wanted)
        added = list(change.added.items())
        for start in range(0, max(len(added), len(change.removed)), MAX_MEMBERS_PER_CALL):
            end = start + MAX_MEMBERS_PER_CALL
            customs = {user: member_custom(since) for user, since in added[start:end]}
            async with self._limiter:
                await self._store.change_members(channel, customs, change.removed[start:end])
        return None
