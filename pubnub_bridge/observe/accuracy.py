"""Accuracy: the share of sampled views that are right, at the latest debounce time + 5 s after a change.

Read-only. A view is one user's flag, as friends see it, compared with PubNub's presence. Users are drawn from both
sides, the flagged and those of Here Now, so that a flag too many and one too few both count. Within the debounce time
the two differ on purpose: a user who differs is compared again after the debounce time + 5 s, and is wrong only where
PubNub reports the same as before and the flag still differs. In a storm leaves are debounced longer; such views count
as wrong here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from graph_service.model.model import Presence
from pubnub_bridge import metrics
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.settings import Settings

SLACK_SECONDS = 5.0
"""Beyond the debounce time."""
RIGHT, WRONG = (metrics.VIEW_CHECKS.labels(word) for word in ("right", "wrong"))


class Flagged(Protocol):
    """The part of `Flags` that is read."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """Who is flagged online there."""

    async def presence(self, ids: Sequence[str]) -> Sequence[Presence]:
        """The state of each known user."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Samples one shard at a time."""

    flags: Flagged
    lookups: PresenceLookup
    size: int
    """Views of one sample."""
    settling_seconds: float
    """Seconds after which a view must be right."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def sample(self, shard: int) -> float | None:
        """Compare some views and count them; returns the share that is right, None where none could be compared."""
        flagged = await self.flags.online_in_shards([shard])
        users = {*flagged, *(await self.lookups.present(shard))}
        drawn = random.sample(sorted(users), min(self.size, len(users)))
        first = await self._views(drawn, shard)
        differing = [user for user, (flag, present) in first.items() if flag != present]
        wrong = await self._still_wrong(differing, first, shard) if differing else 0
        if not first:
            return None
        RIGHT.inc(len(first) - wrong)
        WRONG.inc(wrong)
        share = 1 - wrong / len(first)
        metrics.ACCURACY.set(share)
        return share

    async def _still_wrong(self, users: list[str], first: Mapping[str, tuple[bool, bool]], shard: int) -> int:
        await self.sleep(self.settling_seconds)
        again = await self._views(users, shard)
        return sum(flag != present and present == first[user][1] for user, (flag, present) in again.items())

    async def _views(self, users: Collection[str], shard: int) -> dict[str, tuple[bool, bool]]:
        """Flag and presence of each known user who can be looked up. Presence is read first: a flag follows it."""
        presence = await self.lookups.all(list(users))
        flagged = await self.flags.online_in_shards([shard])
        # A user without a flag on this shard may have one on another, or may be unknown to the graph.
        others = await self.flags.presence([user for user in presence if user not in flagged])
        flags = dict.fromkeys(flagged, True) | {one.id: one.online for one in others}
        return {user: (flags[user], presence[user].online) for user in presence if user in flags}


def settling_seconds(settings: Settings) -> float:
    """The longest debounce time, and 5 s."""
    return settings.max_debounce_seconds + SLACK_SECONDS
