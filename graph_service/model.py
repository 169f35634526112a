"""The vocabulary: what a flag, a told user and a friend are. Knows no engine, no HTTP and no PubNub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """One user's settled state on its way into the graph (row 6 of the walk)."""

    user: str
    online: bool
    at: int
    """When the state began, milliseconds since the epoch, by PubNub's clock."""
    shard: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What the graph did with a batch of flags."""

    changed: frozenset[str]
    """Users whose flag, or time, is new."""
    equal: frozenset[str]
    """Users that already had this very `at`: an earlier try got this far, so they are told again."""
    older: frozenset[str]
    """Users whose graph state is newer than the flag: nothing to do."""
    unknown: frozenset[str]
    """Ids without a user in the graph."""


@dataclass(frozen=True, slots=True)
class Told:
    """One user's own state and online friends, all from one read (row 7 of the walk)."""

    user: str
    name: str
    online: bool
    """As others may see it: the invisible are offline."""
    invisible: bool
    present: bool
    """The flag itself, invisible or not."""
    presence_at: int
    """Milliseconds since the epoch; 0 when never seen."""
    last_seen: int
    """Milliseconds since the epoch; 0 when never seen."""
    online_friends: Sequence[str]
    """Ids of the friends to be told: flagged online, visible or not (they may see others)."""
    visible_friends: Sequence[str]
    """Ids of the friends this user sees online: flagged and not invisible."""
    total_friends: int
    ts: int
    """The clock of the read, microseconds since the epoch."""
