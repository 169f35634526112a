"""Values of the graph service: flags, presence snapshots, friends, relations, pages, suggestions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


def rounded_down(milliseconds: int, seconds: int) -> int:
    """A time rounded down to `seconds`, as others may see it (LAST_SEEN_ROUNDING_SECONDS). 0 means never, and stays."""
    return milliseconds - milliseconds % (seconds * 1000) if seconds else milliseconds


@dataclass(frozen=True, slots=True)
class Flag:
    """One user's settled state, to be written to the graph (the commit stage)."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceSnapshot:
    """One user's state and online friends, all from one read (the read stage)."""

    user: str
    name: str
    online: bool
    """As others may see it: an invisible user is offline."""
    invisible: bool
    present: bool
    """The flag itself, invisible or not."""
    presence_at: int
    """Milliseconds since the epoch; 0 when never seen."""
    last_seen: int
    """Milliseconds since the epoch; 0 when never seen."""
    online_friends: Sequence[str]
    """Ids of the friends to notify: flagged online, invisible or not (invisible users see others)."""
    visible_friends: Sequence[str]
    """Ids of the friends whom this user sees online: flagged and not invisible."""
    total_friends: int
    ts: int
    """The clock of the read, microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class FriendRow:
    """One friend in a list. Invisible users are offline."""

    id: str
    name: str
    online: bool
    last_seen: int
    """Milliseconds since the epoch; 0 when never seen."""
    since: int = 0
    """Seconds since the epoch; 0 when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendPage:
    """A page of friends in order of id."""

    friends: Sequence[FriendRow]
    next: str | None
    """The last id of this page if there is more: the next page begins after it."""
    ts: int
    """The clock of the read, microseconds since the epoch."""
    total: int | None = None
    """Of all pages, where the query returns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendDetail:
    """One friend, with the number of mutual friends."""

    friend: FriendRow
    mutual: int
    ts: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A user on a list of requests or blocks."""

    id: str
    name: str
    at: int
    """When it was requested or blocked, milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationPage:
    """A page of requests or blocks in order of id."""

    relations: Sequence[Relation]
    next: str | None


class State(StrEnum):
    """The relation of two users after an action, as the acting user may see it."""

    FRIENDS = "friends"
    REQUESTED = "requested"
    BLOCKED = "blocked"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of an action: the relation now, and whether it changed."""

    state: State
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncView:
    """A user's friends who are online, from one read: the content of friends.sync."""

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
    """Seconds since the epoch; 0 when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """The result for one pair, with the reason where it was refused."""

    a: str
    b: str
    result: PairOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A user whom another may know, and why."""

    id: str
    name: str
    online: bool
    mutual_count: int
    mutuals: Sequence[FriendRow]
    """The first three by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Suggestions in order of their number of mutual friends."""

    suggestions: Sequence[Suggestion]
    calculated_at: int
    """When the ranking was calculated, microseconds since the epoch by the graph's clock; flags are always fresh."""
    cached: bool
    """Whether the ranking is an earlier one that is still valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One user's state for the product's back end."""

    id: str
    online: bool
    last_seen: int
    """Milliseconds since the epoch; 0 when never seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a changed pair, as read after the change."""

    id: str
    exists: bool
    """False for an erased user."""
    name: str
    present: bool
    """The flag itself."""
    invisible: bool
    presence_at: int
    last_seen: int
    asked: bool
    """Whether this end has requested friendship."""
    blocked: bool
    """Whether this end has blocked the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPair:
    """A pair from the outbox with its present relation; both ends are notified of what they may see of it.

    Both ends are the same user where the user's visibility changed: then friends are notified of the user's state.
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
        """Whether it is a change of one user's visibility."""
        return self.a.id == self.b.id
