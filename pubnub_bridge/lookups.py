"""Doubts about one user, settled by Where Now. Knows the shard a user belongs to; decides nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from graph_service.errors import FriendsError
from graph_service.shard import ShardMap
from pubnub_bridge.presence import Seen

_log = structlog.get_logger(__name__)


class WhereNow(Protocol):
    """The part of `client.Client` that a look-up needs."""

    async def where_now(self, user: str) -> frozenset[str]:
        """The channels a user is on."""


class Lookups:
    """Asks PubNub where users are now."""

    def __init__(self, client: WhereNow, shards: ShardMap, now: Callable[[], int]) -> None:
        self._client = client
        self._shards = shards
        self._now = now

    async def seen(self, user: str, reason: str = "confirm") -> Seen:
        """Whether a user is present on any of their shards. Raises what the client raises."""
        at = self._now()
        partition = self._shards.partition(user)
        on = [
            shard
            for name in await self._client.where_now(user)
            if (shard := self._shards.parse(name)) is not None
        ]
        mine = [shard for shard in on if shard % self._shards.partitions == partition]
        return Seen(user, bool(mine), at, mine[0] if mine else self._shards.shard(user), reason)

    async def all(self, users: Sequence[str], reason: str = "confirm") -> dict[str, Seen]:
        """The same of many; who cannot be looked up is left out and logged."""
        answers = await asyncio.gather(*(self.seen(user, reason) for user in users), return_exceptions=True)
        found: dict[str, Seen] = {}
        for user, answer in zip(users, answers, strict=True):
            if isinstance(answer, Seen):
                found[user] = answer
            elif isinstance(answer, FriendsError):
                _log.warning("a look-up failed", user=user, reason=str(answer))
            else:
                raise answer
        return found
