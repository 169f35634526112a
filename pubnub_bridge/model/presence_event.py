"""Presence event: what PubNub reported about one user, as it passes through the pipeline. Pure: a value and its id."""

from __future__ import annotations

from dataclasses import dataclass


def event_id(user: str, at: int) -> str:
    """The id of a user's change at `at` milliseconds, from the presence log to the inbox; a repeat has the same one."""
    return f"evt_presence_{user}_{at}"


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """What PubNub reported about one user on one shard. Stored by position: the order of the fields is fixed."""

    user: str
    online: bool
    at: int
    """Milliseconds since the epoch, by PubNub's clock."""
    shard: int
    reason: str
    """The presence action (join, leave, timeout), or the look-up that found it: reconcile, confirm, created."""

    @property
    def event_id(self) -> str:
        """The same from the presence log to the inbox."""
        return event_id(self.user, self.at)
