"""Accuracy: the share of sampled users whose flag equals what PubNub says now. Knows flags and look-ups; repairs nothing.

Users who changed a moment ago are not counted: within the hold the two differ on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from pubnub_bridge import metrics
from pubnub_bridge.lookups import Lookups

RECENT = 30_000
"""Milliseconds."""


async def sample(online: Mapping[str, int], lookups: Lookups, size: int, now: int) -> float | None:
    """Look some flagged users up; the share of those who are present, None where nobody could be counted."""
    old = [user for user, at in online.items() if now - at > RECENT]
    found = await lookups.all(random.sample(old, min(size, len(old))))
    if not found:
        return None
    share = sum(seen.online for seen in found.values()) / len(found)
    metrics.ACCURACY.set(share)
    return share
