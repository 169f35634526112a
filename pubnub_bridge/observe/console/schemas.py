"""Request and response models of the console's routes; their docstrings become the API document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graph_service.api.schemas import RequestModel, ResponseModel, Time
from graph_service.model.ids import UserId

MAX_FRIENDS_SHOWN = 150
"""Of one circle."""
MAX_EDGES = 1500
"""Friendships among the friends of one circle."""


class StageRow(ResponseModel):
    """One stage of the pipeline, over all bridges."""

    row: int
    name: str
    does: str
    rate: float | None
    """A second, over the last ten seconds; null until it is known."""
    unit: str
    """What is counted."""
    lag: float | None
    """Seconds that the oldest waits, or that the slowest of a hundred took; null where nothing waits."""
    waiting: int | None
    """How many are pending here."""
    trouble: str | None
    """What is wrong here, in words."""


class Figures(ResponseModel):
    """What the charts draw: rates a second, latencies in seconds, accuracy from 0 to 1."""

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
    """One partition: who owns it, and what is pending."""

    number: int
    owner: str | None
    """The bridge with the lease; null without an owner."""
    seen: int
    """Entries of its presence log."""
    inbox: int
    """Entries of its inbox stream."""
    dead: int
    oldest: float
    """Age of the oldest entry of both, in seconds."""
    held: int | None
    """Users whose change is debounced or not committed yet; null without an owner."""
    late: float | None
    """Seconds that the oldest change or notification is overdue."""
    online: int | None


class BridgeRow(ResponseModel):
    """One live bridge."""

    name: str
    leads: bool
    """Whether it runs the jobs that only one may run."""
    owned: int
    quiet: float
    """Seconds since its last report, which expires after ten."""
    heard: float | None
    settled: float | None
    published: float | None
    """All a second."""


class Shards(ResponseModel):
    """How many users are on each presence channel."""

    occupancy: list[int]
    """By number; with more than 1,000 shards, sums of neighbours."""
    together: int
    """How many shards each number is the sum of."""
    skew: float | None
    """The fullest shard over the mean."""


class Leader(ResponseModel):
    """One user with a high rate."""

    user: str
    per_minute: float
    friends: int | None = None


class Snapshot(ResponseModel):
    """The whole system at one moment."""

    ts: Time
    online: int | None
    """As last counted by Here Now."""
    degraded: bool
    reason: str | None
    """Why presence cannot be trusted now."""
    walk: list[StageRow]
    figures: Figures
    partitions: list[PartitionRow]
    bridges: list[BridgeRow]
    shards: Shards
    flap_leaders: list[Leader]
    """Changes undone within the debounce time, a minute."""
    costly: list[Leader]
    """Notifications of friends a minute: changes times the friends who are online."""
    dead: int
    consoles: int
    """Consoles that are open on this process."""


class EgoQuery(RequestModel):
    """Whose circle."""

    user: UserId
    limit: Annotated[int, Field(ge=1, le=MAX_FRIENDS_SHOWN, description="Friends at most.")] = 100


class FlagsQuery(RequestModel):
    """Whose friends."""

    user: UserId


class EgoFriend(ResponseModel):
    """One friend in a circle. Invisible users are marked, not hidden: an operator sees the flags."""

    id: str
    name: str
    online: bool
    invisible: bool


class Ego(ResponseModel):
    """A user and those of their friends whose state changed last."""

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
    """Which of a user's friends are flagged online now."""

    user: str
    online: bool
    friends: list[str]
    ts: Time


class DeadRow(ResponseModel):
    """One message that PubNub rejected as invalid; retrying cannot help."""

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
    """The oldest dead letters."""

    letters: list[DeadRow]
    total: int


class Redriven(ResponseModel):
    """How many were put back into the streams they came from."""

    redriven: int


class AuditRow(ResponseModel):
    """One time an operator looked at users."""

    at: Time | None
    what: Literal["why", "ego", "dead", "redrive"]
    about: str
    by: str
    address: str


class AuditLog(ResponseModel):
    """The last entries, the newest first."""

    looks: list[AuditRow]
