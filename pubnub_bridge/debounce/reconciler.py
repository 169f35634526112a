"""Reconciling: Here Now against flags, shard by shard. What differs is appended like any other presence event.

Its time is PubNub's at the request's start, less the 3 s that Here Now may be cached. Who is absent from the pages
is looked up before being told gone, since paging by offset over a moving set skips people (PubNub docs: here now).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from graph_service.errors import FriendsError
from graph_service.model.ids import why_not
from graph_service.model.sharding import ShardMap
from pubnub_bridge import metrics
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.store.presence_log import PresenceLog

CACHE_MILLISECONDS = 3000
"""Milliseconds that a Here Now answer may be old."""
_log = structlog.get_logger(__name__)


class OnlineRead(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that reconciling needs."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """Who is flagged online, with the time of the flag."""


@dataclass(frozen=True, slots=True)
class ShardDifference:
    """One shard compared."""

    arrived: Sequence[str]
    """Present and not flagged."""
    missing: Sequence[str]
    """Flagged and not on the pages."""


def compare(
    present: Collection[str], flagged: Mapping[str, int], mine: Callable[[str], bool]
) -> ShardDifference:
    """What differs, of the users that belong to this shard's partition."""
    here = set(present)
    return ShardDifference(
        [user for user in here if user not in flagged and mine(user)],
        [user for user in flagged if user not in here],
    )


class Reconciler:
    """Compares shards when asked to, one after the other."""

    def __init__(
        self,
        *,
        flags: OnlineRead,
        log: PresenceLog,
        lookups: PresenceLookup,
        shards: ShardMap,
        observed: Callable[[str], bool | None],
        now: Callable[[], int],
    ) -> None:
        self._observed = observed
        self._now = now
        self._flags = flags
        self._log = log
        self._lookups = lookups
        self._shards = shards
        self._wanted: dict[int, None] = {}
        self._woken = asyncio.Event()

    def ask(self, shards: Collection[int]) -> None:
        """Have these shards compared soon; one that waits already is compared once."""
        self._wanted.update(dict.fromkeys(shards))
        self._woken.set()

    async def run(self) -> None:
        """Compare what was asked for, for ever."""
        while True:
            await self._woken.wait()
            while self._wanted:
                shard = next(iter(self._wanted))
                del self._wanted[shard]
                if not await self._tried(shard):
                    self._wanted.setdefault(shard)
                    await asyncio.sleep(2.0)
            self._woken.clear()

    async def shard(self, shard: int) -> int:
        """Compare one shard; returns the number of repairs."""
        at = self._now() - CACHE_MILLISECONDS
        here = await self._lookups.present(shard)
        flagged = await self._flags.online_in_shards([shard])
        partition = shard % self._shards.partitions
        found = compare(here, flagged, lambda user: self._shards.partition(user) == partition)
        missing = [user for user in found.missing if self._observed(user) is not False]
        repairs = [
            PresenceEvent(user, True, at, shard, "reconcile")
            for user in found.arrived
            if self._observed(user) is not True and why_not(user) is None
        ]
        gone = await self._lookups.all(missing[:1000], "reconcile")
        repairs += [
            PresenceEvent(user, False, at, shard, "reconcile")
            for user, seen in gone.items()
            if not seen.online
        ]
        if repairs:
            await self._log.append(repairs)
            metrics.RECONCILED.inc(len(repairs))
            metrics.PRESENCE_EVENTS.labels("reconcile").inc(len(repairs))
            _log.info("flags differed from Here Now", shard=shard, repairs=len(repairs))
        return len(repairs)

    async def _tried(self, shard: int) -> bool:
        try:
            await self.shard(shard)
        except FriendsError as error:
            _log.warning("a shard was not compared", shard=shard, reason=str(error))
            return not error.temporary
        return True
