"""Looks up where users are now: by Where Now, and by Here Now of their channels first where many left together.

Knows which shards a user belongs to. Here Now may be some seconds old, and is complete only where one page holds all
(PubNub docs: presence). So it is believed only about users who left before it, and only where it does not name them.
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
"""From so many users who left together, their channels are listed first."""
HERE_NOW_PAGE_USERS = 1000
HERE_NOW_MAX_AGE_MILLISECONDS = 3000
"""How old a Here Now response may be when it arrives."""
LISTING_TTL_MILLISECONDS = 10_000
OCCUPANCY_BATCH_CHANNELS = 100
"""Channels of one occupancy call."""
MAX_CONCURRENT_LOOKUPS = 50
"""Where Now calls in flight; after an outage thousands of users may be in conflict."""
_log = structlog.get_logger(__name__)


class Occupied(Protocol):
    """One Here Now response about one channel."""

    @property
    def occupancy(self) -> int:
        """How many users are on the channel."""

    @property
    def users(self) -> Sequence[str]:
        """Those of them that its pages name."""


class Presence(Protocol):
    """The part of `sdk.PubNubSdk` that a look-up needs."""

    async def where_now(self, user: str) -> frozenset[str]:
        """The channels a user is on."""

    async def here_now(self, channel: str) -> Occupied:
        """The users on a channel."""

    async def occupancy(self, channels: list[str]) -> Mapping[str, int]:
        """The number of users on each channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The users on a channel, or None if not all fitted on a page; `at` in milliseconds."""

    at: int
    users: frozenset[str] | None


class PresenceLookup:
    """`now` is PubNub's time in milliseconds."""

    def __init__(self, *, pubnub: Presence, shards: ShardMap, now: Callable[[], int]) -> None:
        self._pubnub = pubnub
        self._shards = shards
        self._now = now
        self._listings: dict[str, _Listing] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)

    async def look_up(self, user: str, reason: str = "confirm") -> PresenceEvent:
        """Whether a user is present on any of their shards, as a presence event. Raises what PubNub's client raises."""
        async with self._slots:
            # Before the call: an event that happens during it is newer than the result.
            at = self._now()
            names = await self._pubnub.where_now(user)
        partition = self._shards.partition(user)
        shards = [shard for name in names if (shard := self._shards.parse(name)) is not None]
        own = [shard for shard in shards if shard % self._shards.partitions == partition]
        return PresenceEvent(user, bool(own), at, own[0] if own else self._shards.shard(user), reason)

    async def all(self, users: Sequence[str], reason: str = "confirm") -> dict[str, PresenceEvent]:
        """Look up many; users whose look-up failed are missing, and logged."""
        results = await asyncio.gather(
            *(self.look_up(user, reason) for user in users), return_exceptions=True
        )
        found: dict[str, PresenceEvent] = {}
        for user, result in zip(users, results, strict=True):
            if isinstance(result, PresenceEvent):
                found[user] = result
            elif isinstance(result, FriendsError):
                _log.warning("lookup.where_now.failed", user=user, reason=str(result))
            else:
                raise result
        return found

    async def present(self, shard: int) -> set[str]:
        """The users on any channel of a shard. Raises what PubNub's client raises."""
        here: set[str] = set()
        for channel in self._shards.channels(shard):
            here.update((await self._pubnub.here_now(channel)).users)
        return here

    async def still_there(self, left: Mapping[str, int]) -> dict[str, PresenceEvent]:
        """Of the users who left, each with when (milliseconds), those who are present: with another device."""
        if (
            len(left) >= LISTING_MIN_USERS
            and max(left.values()) <= self._now() - HERE_NOW_MAX_AGE_MILLISECONDS
        ):
            left = await self._without_absent(left)
        return {user: event for user, event in (await self.all(list(left))).items() if event.online}

    async def _without_absent(self, left: Mapping[str, int]) -> Mapping[str, int]:
        """Without the users who are certainly on none of their channels."""
        channels = {user: self._shards.channels_of(user) for user in left}
        await self._list({name for names in channels.values() for name in names}, max(left.values()))
        return {
            user: at
            for user, at in left.items()
            if not all(self._is_absent(user, at, name) for name in channels[user])
        }

    def _is_absent(self, user: str, at: int, channel: str) -> bool:
        listing = self._listings.get(channel)
        if listing is None or listing.users is None:
            return False
        # A listing that may be older than the leave says nothing about it.
        return user not in listing.users and at <= listing.at - HERE_NOW_MAX_AGE_MILLISECONDS

    async def _list(self, channels: set[str], newest: int) -> None:
        """List these channels, except those whose cached listing is from after the newest leave."""
        now = self._now()
        self._listings = {
            name: one for name, one in self._listings.items() if one.at > now - LISTING_TTL_MILLISECONDS
        }
        wanted = [
            name
            for name in sorted(channels)
            if name not in self._listings or newest > self._listings[name].at - HERE_NOW_MAX_AGE_MILLISECONDS
        ]
        try:
            for start in range(0, len(wanted), OCCUPANCY_BATCH_CHANNELS):
                some = wanted[start : start + OCCUPANCY_BATCH_CHANNELS]
                counts = await self._pubnub.occupancy(some)
                lists = await asyncio.gather(*(self._users(name, counts.get(name, 0)) for name in some))
                self._listings |= {
                    name: _Listing(at=now, users=users) for name, users in zip(some, lists, strict=True)
                }
        except FriendsError as error:
            _log.warning("lookup.here_now.failed", channels=len(wanted), reason=str(error))

    async def _users(self, channel: str, occupancy: int) -> frozenset[str] | None:
        """All users on a channel, or None where one page may not hold them."""
        if not occupancy or occupancy >= HERE_NOW_PAGE_USERS:
            return None if occupancy else frozenset()
        found = await self._pubnub.here_now(channel)
        complete = found.occupancy <= len(found.users) < HERE_NOW_PAGE_USERS
        return frozenset(found.users) if complete else None
