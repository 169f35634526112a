"""Settings of a keyset: names, units, ranges, and the source of each default."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PresenceSettings(BaseModel):
    """Presence of one keyset. Defaults follow the documented product and the keyset of PubNub's integration tests,
    apart from those that `docs/origin.md` lists as deliberate differences."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    announce_max: int = Field(default=20, ge=0)
    """Occupants up to which every join, leave and timeout is one event; above, the channel sends interval events."""
    interval_s: float = Field(default=10.0, gt=0)
    """Seconds between two interval events of a channel."""
    deltas: bool = True
    """Presence Deltas: interval events name who joined, left and timed out."""
    deltas_max_bytes: int = Field(default=30_000, ge=0)
    """Above this size an interval event says `here_now_refresh` instead of naming everyone."""
    refresh_arrays: Literal["none", "partial"] = "none"
    """Whether an event with `here_now_refresh` carries no names or some of them."""
    debounce_s: float = Field(default=0.0, ge=0)
    """Seconds a leave waits for a join that would undo it. The product's default is 2."""
    late_leaves: bool = False
    """Whether a return within the debounce is announced as join, join, leave (recorded seven times)."""
    leave_on_close: bool = False
    """Generate Leave on TCP FIN or RST: a connection that ends while it polls leaves its channels."""
    implicit_heartbeat: bool = True
    """Whether every subscribe request, not only a heartbeat, postpones the timeout (documented; one keyset recorded not to)."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Seconds without a sign of life until a timeout, where the client sends none."""
    repeat_join: bool = False
    """Whether a further device of a present user is announced as another join."""
    global_here_now: bool = True
    """Whether Here Now without a channel is allowed."""
    here_now_cache_s: float = Field(default=0.0, ge=0)
    """Seconds for which a Here Now result is cached. PubNub caches it for 3 s."""
    tracked: list[str] = ["*"]
    """Presence Management: names, or prefixes ending in `*`, of the channels whose presence is tracked."""
    precise_timestamp: bool = True
    """Whether announced events carry milliseconds (recordings of 2020 do not; intervals never did)."""


class KeysetSettings(BaseModel):
    """Settings of one keyset."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    presence: PresenceSettings = Field(default_factory=PresenceSettings)
    access_manager: bool = False
    """Whether Access Manager is on: requests without a sufficient token are rejected."""
    revocation_delay_s: float = Field(default=0.0, ge=0)
    """Seconds until a revoked token is rejected. PubNub takes up to 60."""
    region: int = Field(default=41, ge=1)
    """`r` of cursors and timetokens; JavaScript clients need it to be above 0."""
    shard: str = "5"
    """`a` of every envelope."""
    hold_s: float = Field(default=280.0, gt=0)
    """Seconds after which an idle long poll returns without messages (recorded)."""
    queue_messages: int = Field(default=100, ge=1)
    """Messages in one response, and stored for a subscriber that catches up; the oldest are dropped silently."""
    queue_s: float = Field(default=1200.0, gt=0)
    """Seconds for which a message stays in the queue (documented: about 20 minutes)."""
    per_match: bool = True
    """Whether a message that matches two subscriptions of one request is delivered twice (recorded)."""
    wildcard_presence: Literal["none", "literal", "all"] = "literal"
    """Which presence reaches a plain `a.*` subscriber: none, that of the channel named `a.*` (recorded), or all of it."""
    store: bool = True
    """Whether messages are persisted by default."""
    objects_events: list[Literal["uuid", "channel", "membership"]] = ["uuid", "channel", "membership"]
    """The App Context event families that are published to subscribers."""
    referential_integrity: bool = False
    """Memberships need both user and channel, and are deleted with either (documented switch)."""
    leave_checked: bool = False
    """Whether leave needs read permission (recorded of the legacy Access Manager; the documentation says no)."""
    deliver_unreplicated: bool = False
    """Whether subscribers get messages published with `norep` (documented: fire reaches functions only)."""
    max_name: int = Field(default=92, ge=1)
    """Most characters of a channel or user id (other pages of the documentation say 64, and 2,048)."""
    max_message_bytes: int = Field(default=32 * 1024, ge=1)
    """Most bytes of a published message (documented for the whole request)."""
    max_signal_bytes: int = Field(default=64, ge=1)
    """Most bytes of a signal."""
