"""What PubNub said of one user, as it goes through the walk. Pure: a value and its id."""

from __future__ import annotations

from dataclasses import dataclass


def event_id(user: str, at: int) -> str:
    """The id of a user's change at `at` milliseconds, from the log to the inbox; a repeat carries the same one."""
    return f"evt_presence_{user}_{at}"


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """What PubNub last said of one user on one shard."""

    user: str
    online: bool
    at: int
    """Milliseconds since the epoch, by PubNub's clock."""
    shard: int
    reason: str
    """The presence action, or who found it out: join, leave, timeout, reconcile, confirm."""

    @property
    def event_id(self) -> str:
        """The id that this change keeps from here to the inbox."""
        return event_id(self.user, self.at)
