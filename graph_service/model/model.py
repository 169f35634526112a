"""The vocabulary: what a flag, a told user, a friend and a page are. Knows no engine, no HTTP and no PubNub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


def rounded_down(milliseconds: int, seconds: int) -> int:
    """A time, as exactly as others may know it (LAST_SEEN_ROUNDING_SECONDS); 0, which is never, stays."""
    return milliseconds - milliseconds % (seconds * 1000) if seconds else milliseconds


@dataclass(frozen=True, slots=True)
class Flag:
    """One user's settled state on its way into the graph (row 6 of the walk)."""

    user: str
    online: bool
    at: int
    """When the state began, milliseconds since the epoch, by PubNub's clock."""
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """What the graph did with a batch of flags, by user."""

    changed: frozenset[str]
    """The flag, or its time, is new."""
    duplicate: frozenset[str]
    """Had this very `at`: an earlier attempt got this far, so friends are notified again."""
    stale: frozenset[str]
    """The graph's state is newer than the flag: nothing to do."""
    unknown: frozenset[str]
    """Ids without a user in the graph."""
    flipped: frozenset[str]
    """The flag itself is another now; the rest of `changed` only has a newer time."""
    hidden: frozenset[str]
    """Invisible when it was committed: friends are not notified. Who hides afterwards is not among them."""


@dataclass(frozen=True, slots=True)
class PresenceSnapshot:
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


@dataclass(frozen=True, slots=True)
class FriendRow:
    """One friend as a list shows it. The invisible are shown offline."""

    id: str
    name: str
    online: bool
    last_seen: int
    """Milliseconds since the epoch; 0 when never seen."""
    since: int = 0
    """Seconds since the epoch; 0 when not known."""


@dataclass(frozen=True, slots=True)
class FriendPage:
    """A page of friends in order of id."""

    friends: Sequence[FriendRow]
    next: str | None
    """The last id of this page where there may be more: what the next page starts after."""
    ts: int
    """The clock of the read, microseconds since the epoch."""
    total: int | None = None
    """How many there are in all, where the query knows it."""


@dataclass(frozen=True, slots=True)
class FriendDetail:
    """One friend, with the number of friends in common."""

    friend: FriendRow
    mutual: int
    ts: int


@dataclass(frozen=True, slots=True)
class Relation:
    """Someone on a list of requests or blocks."""

    id: str
    name: str
    at: int
    """When asked or blocked, milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class RelationPage:
    """A page of requests or blocks in order of id."""

    people: Sequence[Relation]
    next: str | None


class State(StrEnum):
    """What stands between two users after an action, as the acting one may see it."""

    FRIENDS = "friends"
    REQUESTED = "requested"
    BLOCKED = "blocked"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action left, and whether it changed anything."""

    state: State
    changed: bool


@dataclass(frozen=True, slots=True)
class SyncView:
    """Who of a user's friends is online, from one read: the payload of friends.sync."""

    online_friends: Sequence[str]
    total_friends: int
    ts: int


class PairOutcome(StrEnum):
    """What a bulk upsert did with one pair."""

    CREATED = "created"
    EXISTS = "exists"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Pair:
    """One friendship of a bulk upsert."""

    a: str
    b: str
    since: int = 0
    """Seconds since the epoch; 0 when not known."""


@dataclass(frozen=True, slots=True)
class PairResult:
    """The answer to one pair, with the reason where it was refused."""

    a: str
    b: str
    result: PairOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Someone a user may know, and why."""

    id: str
    name: str
    online: bool
    mutual_count: int
    mutuals: Sequence[FriendRow]
    """The first three by id."""


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Suggestions in order of their number of mutual friends."""

    people: Sequence[Suggestion]
    calculated_at: int
    """When the walk was done, microseconds since the epoch by the graph's clock; flags are always fresh."""
    kept: bool
    """Whether the ranking is an earlier one that is still good."""


@dataclass(frozen=True, slots=True)
class Presence:
    """One user's state for the product's own back end."""

    id: str
    online: bool
    last_seen: int
    """Milliseconds since the epoch; 0 when never seen."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a changed pair, as read after the change."""

    id: str
    exists: bool
    """False where the user was erased."""
    name: str
    present: bool
    """The flag itself."""
    invisible: bool
    presence_at: int
    last_seen: int
    asked: bool
    """Whether this end has asked the other."""
    blocked: bool
    """Whether this end has blocked the other."""


@dataclass(frozen=True, slots=True)
class ChangedPair:
    """A pair from the outbox with its present relation; both ends are told what they may see of it.

    Both ends are one user where that user's own visibility changed: then friends are told the user's state.
    """

    node: str
    """The outbox node, for `done`."""
    a: End
    b: End
    friends: bool
    since: int
    ts: int
    """The clock of the read, microseconds since the epoch."""

    @property
    def alone(self) -> bool:
        """Whether it is one user's own change."""
        return self.a.id == self.b.id
