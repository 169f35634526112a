"""Reconciler: compares Here Now with the flags, shard by shard, and appends the differences as presence events.

Invariants: an event is dated at the beginning of the request, less the 3 s for which Here Now may be cached, so that
whatever PubNub reports later wins; a user who is missing on the pages is looked up before an offline event, since
paging by offset over a moving set skips users (PubNub docs: here now); what is observed already and on its way to the
graph is not appended again.
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
"""How old a Here Now response may be."""
MAX_LOOKUPS = 1000
"""Missing users of one shard that are looked up at once; the next comparison finds the others."""
RETRY_SECONDS = 2.0
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
    """Compares the shards it is asked for, one after the other."""

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
        self._flags = flags
        self._log = log
        self._lookups = lookups
        self._shards = shards
        self._observed = observed
        self._now = now
        self._requested: dict[int, None] = {}
        self._wakeup = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether everything that was asked for is compared."""
        return not self._wakeup.is_set()

    def ask(self, shards: Collection[int]) -> None:
        """Have these shards compared soon; one that waits already is compared once."""
        self._requested.update(dict.fromkeys(shards))
        self._wakeup.set()

    async def run(self) -> None:
        """Compare what is asked for, without end."""
        while True:
            await self._wakeup.wait()
            while self._requested:
                shard = next(iter(self._requested))
                del self._requested[shard]
                if not await self._tried(shard):
                    self._requested.setdefault(shard)
                    await asyncio.sleep(RETRY_SECONDS)
            self._wakeup.clear()

    async def shard(self, shard: int) -> int:
        """Compare one shard; returns the number of differences that were appended."""
        at = self._now() - CACHE_MILLISECONDS
        here = await self._lookups.present(shard)
        flagged = await self._flags.online_in_shards([shard])
        partition = shard % self._shards.partitions
        found = compare(here, flagged, lambda user: self._shards.partition(user) == partition)
        missing = [user for user in found.missing if self._observed(user) is not False]
        events = [
            PresenceEvent(user, True, at, shard, "reconcile")
            for user in found.arrived
            if self._observed(user) is not True and why_not(user) is None
        ]
        looked_up = await self._lookups.all(missing[:MAX_LOOKUPS], "reconcile")
        events += [
            PresenceEvent(user, False, at, shard, "reconcile")
            for user, event in looked_up.items()
            if not event.online
        ]
        if events:
            await self._log.append(events)
            metrics.RECONCILED.inc(len(events))
            metrics.PRESENCE_EVENTS.labels("reconcile").inc(len(events))
            _log.info("reconcile.shard.differed", shard=shard, users=len(events))
        return len(events)

    async def _tried(self, shard: int) -> bool:
        try:
            await self.shard(shard)
        except FriendsError as error:
            _log.warning("reconcile.shard.failed", shard=shard, reason=str(error))
            return not error.temporary
        return True
