"""Doubts about users, settled by Where Now; where many left together, by Here Now of their channels first.

Knows the shard a user belongs to; decides nothing else. Here Now may be some seconds old, and is complete only where
one page holds all (PubNub docs: presence): so it is believed only of who left before, and only where it names nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from graph_service.errors import FriendsError
from graph_service.model.sharding import ShardMap
from pubnub_bridge.model.presence_event import PresenceEvent

LISTING_MIN_USERS = 20
"""Users who left together, from which on their channels are asked first."""
PAGE_USERS = 1000
"""Occupants that one page of Here Now holds."""
CACHE_MILLISECONDS = 3000
"""Milliseconds that an answer of Here Now may be old."""
LISTING_VALID_SECONDS = 10_000
"""Milliseconds that one is kept."""
MAX_CONCURRENT_LOOKUPS = 100
"""Channels of one question for occupancy."""
MAX_LISTINGS = 50
"""Users who are looked up at once; after an outage thousands may be in doubt."""
_log = structlog.get_logger(__name__)


class Occupied(Protocol):
    """One answer of Here Now about one channel."""

    @property
    def occupancy(self) -> int:
        """How many are there."""

    @property
    def users(self) -> Sequence[str]:
        """Who is, of those on its pages."""


class Presence(Protocol):
    """The part of `client.Client` that a look-up needs."""

    async def where_now(self, user: str) -> frozenset[str]:
        """The channels a user is on."""

    async def here_now(self, channel: str) -> Occupied:
        """Who is on a channel."""

    async def occupancy(self, channels: list[str]) -> Mapping[str, int]:
        """How many are on each channel."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """Who was on a channel, if all of them fitted on a page."""

    asked: int
    users: frozenset[str] | None


class PresenceLookup:
    """Asks PubNub where users are now."""

    def __init__(self, client: Presence, shards: ShardMap, now: Callable[[], int]) -> None:
        self._client = client
        self._shards = shards
        self._now = now
        self._listed: dict[str, _Listed] = {}
        self._places = asyncio.Semaphore(MAX_LISTINGS)

    async def look_up(self, user: str, reason: str = "confirm") -> PresenceEvent:
        """Whether a user is present on any of their shards. Raises what the client raises."""
        async with self._places:
            at = self._now()
            names = await self._client.where_now(user)
        partition = self._shards.partition(user)
        on = [shard for name in names if (shard := self._shards.parse(name)) is not None]
        mine = [shard for shard in on if shard % self._shards.partitions == partition]
        return PresenceEvent(user, bool(mine), at, mine[0] if mine else self._shards.shard(user), reason)

    async def all(self, users: Sequence[str], reason: str = "confirm") -> dict[str, PresenceEvent]:
        """The same of many; who cannot be looked up is left out and logged."""
        answers = await asyncio.gather(
            *(self.look_up(user, reason) for user in users), return_exceptions=True
        )
        found: dict[str, PresenceEvent] = {}
        for user, answer in zip(users, answers, strict=True):
            if isinstance(answer, PresenceEvent):
                found[user] = answer
            elif isinstance(answer, FriendsError):
                _log.warning("a look-up failed", user=user, reason=str(answer))
            else:
                raise answer
        return found

    async def present(self, shard: int) -> set[str]:
        """Who is on a shard, on any of its channels. Raises what the client raises."""
        here: set[str] = set()
        for channel in self._shards.channels(shard):
            here.update((await self._client.here_now(channel)).users)
        return here

    async def still_there(self, left: Mapping[str, int]) -> dict[str, PresenceEvent]:
        """Of those who left, each with when (milliseconds), who is there all the same: with another device."""
        if len(left) >= LISTING_MIN_USERS and max(left.values()) <= self._now() - CACHE_MILLISECONDS:
            left = await self._unlisted(left)
        return {user: seen for user, seen in (await self.all(list(left))).items() if seen.online}

    async def _unlisted(self, left: Mapping[str, int]) -> Mapping[str, int]:
        """Without those who are on none of their channels for sure."""
        channels = {user: self._shards.channels_of(user) for user in left}
        await self._list({name for names in channels.values() for name in names}, max(left.values()))
        return {
            user: at for user, at in left.items() if not all(self._gone(user, at, n) for n in channels[user])
        }

    def _gone(self, user: str, at: int, channel: str) -> bool:
        listed = self._listed.get(channel)
        if listed is None or listed.users is None:
            return False
        return user not in listed.users and at <= listed.asked - CACHE_MILLISECONDS

    async def _list(self, channels: set[str], newest: int) -> None:
        """Who is on these channels now; what is known from after the newest leave is not asked again."""
        now = self._now()
        self._listed = {
            name: one for name, one in self._listed.items() if one.asked > now - LISTING_VALID_SECONDS
        }
        wanted = [
            name
            for name in sorted(channels)
            if name not in self._listed or newest > self._listed[name].asked - CACHE_MILLISECONDS
        ]
        try:
            for start in range(0, len(wanted), MAX_CONCURRENT_LOOKUPS):
                some = wanted[start : start + MAX_CONCURRENT_LOOKUPS]
                counts = await self._client.occupancy(some)
                lists = await asyncio.gather(*(self._of(name, counts.get(name, 0)) for name in some))
                self._listed |= {name: _Listed(now, users) for name, users in zip(some, lists, strict=True)}
        except FriendsError as error:
            _log.warning("channels were not listed", channels=len(wanted), reason=str(error))

    async def _of(self, channel: str, occupancy: int) -> frozenset[str] | None:
        if not occupancy or occupancy >= PAGE_USERS:
            return None if occupancy else frozenset()
        found = await self._client.here_now(channel)
        return frozenset(found.users) if found.occupancy <= len(found.users) < PAGE_USERS else None
