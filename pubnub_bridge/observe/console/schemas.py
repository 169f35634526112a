"""What the console is shown, member by member. Knows shapes only; these become its part of the API document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graph_service.api.schemas import RequestModel, ResponseModel, Time
from graph_service.model.ids import UserId

MAX_FRIENDS_SHOWN = 150
"""Friends of one picture."""
MAX_EDGES = 1500
"""Friendships among them."""


class StageRow(ResponseModel):
    """One row of the walk of a presence event, over all bridges."""

    row: int
    name: str
    does: str
    rate: float | None
    """A second, over the last ten; null until it is known."""
    unit: str
    """What is counted."""
    lag: float | None
    """Seconds that the oldest waits, or that the slowest of a hundred took; null where nothing waits."""
    waiting: int | None
    """How many wait here."""
    trouble: str | None
    """What is wrong here, in words."""


class Figures(ResponseModel):
    """What the charts draw: all a second, but the latencies (seconds) and the accuracy (0 to 1)."""

    transitions: float | None
    flaps: float | None
    inbox_messages: float | None
    saved: float | None
    repairs: float | None
    failed: float | None
    latency_p50: float | None
    latency_p99: float | None
    accuracy: float | None


class PartitionRow(ResponseModel):
    """One partition: who owns it, and what waits."""

    number: int
    owner: str | None
    """The bridge with the lease; null where nobody has it."""
    seen: int
    """Entries of its stream of presence events."""
    inbox: int
    """Entries of its stream of notices."""
    dead: int
    oldest: float
    """Seconds that the oldest entry of both has stood there."""
    held: int | None
    """Users who wait for the hold or for the graph; null without an owner."""
    late: float | None
    """Seconds that the oldest change or notice is overdue."""
    online: int | None


class BridgeRow(ResponseModel):
    """One live bridge."""

    name: str
    leads: bool
    """Whether it runs the jobs that only one may run."""
    owned: int
    quiet: float
    """Seconds since it last told of itself; its value ends after ten."""
    heard: float | None
    settled: float | None
    published: float | None
    """All a second."""


class Shards(ResponseModel):
    """How many are on each presence channel."""

    occupancy: list[int]
    """By number; with more than 1,000 shards, sums of neighbours."""
    together: int
    """How many shards each number is the sum of."""
    skew: float | None
    """The fullest shard over the mean."""


class Leader(ResponseModel):
    """One user who stands out."""

    user: str
    per_minute: float
    friends: int | None = None


class Snapshot(ResponseModel):
    """The whole system at one moment."""

    ts: Time
    online: int | None
    """As counted last by Here Now."""
    degraded: bool
    reason: str | None
    """Why presence cannot be trusted now."""
    walk: list[StageRow]
    figures: Figures
    partitions: list[PartitionRow]
    bridges: list[BridgeRow]
    shards: Shards
    flap_leaders: list[Leader]
    """Changes undone inside the hold, a minute."""
    costly: list[Leader]
    """Notices for friends a minute: churn times the friends who are online."""
    dead: int
    consoles: int
    """Consoles that this process feeds now."""


class EgoQuery(RequestModel):
    """Whose picture."""

    user: UserId
    limit: Annotated[int, Field(ge=1, le=MAX_FRIENDS_SHOWN, description="Friends at most.")] = 100


class FlagsQuery(RequestModel):
    """Whose friends."""

    user: UserId


class EgoFriend(ResponseModel):
    """One friend in the picture. The invisible are marked, not hidden: an operator sees the flags."""

    id: str
    name: str
    online: bool
    invisible: bool


class Ego(ResponseModel):
    """A person and those of their friends whose state changed last."""

    user: str
    name: str
    online: bool
    invisible: bool
    total: int
    """Friends in all."""
    friends: list[EgoFriend]
    edges: list[tuple[str, str]]
    """Who of these friends are friends of each other; at most 1,500."""
    ts: Time


class EgoFlags(ResponseModel):
    """Who of a person's friends is flagged online now."""

    user: str
    online: bool
    friends: list[str]
    ts: Time


class DeadRow(ResponseModel):
    """One message that PubNub refused for its own sake."""

    entry: str
    inbox: str
    kind: str
    """The message's type."""
    at: Time | None
    reason: str
    bytes: int
    excerpt: str
    """The beginning of the message."""


class Dead(ResponseModel):
    """The oldest of the dead letters."""

    letters: list[DeadRow]
    total: int


class Redriven(ResponseModel):
    """How many were put back into the inbox streams."""

    redriven: int


class AuditRow(ResponseModel):
    """One look of an operator."""

    at: Time | None
    what: Literal["why", "ego", "dead", "redrive"]
    about: str
    by: str
    address: str


class AuditLog(ResponseModel):
    """The last looks, the newest first."""

    looks: list[AuditRow]
