"""Events & Actions: a presence event as a webhook tells it (PubNub docs and captures).

Knows schemas, members and the oddities that captures show. Knows nothing of batching or delivery.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from local_stack.origin.presence_events import (
    ACTIVE,
    INACTIVE,
    INTERVAL,
    JOIN,
    LEAVE,
    STATE,
    TIMEOUT,
    PresenceEvent,
    milliseconds,
)

PREFIX = "pubnub.com/schemas/events/"
SCHEMAS = {
    JOIN: "presence.user.channel.joined?v=1.0.0",
    LEAVE: "presence.user.channel.left?v=1.0.0",
    TIMEOUT: "presence.user.timedout.in.channel?v=1.0.0",
    STATE: "presence.channel.user.state.in.changed?v=1.0.0",
    ACTIVE: "presence.channel.state.active?v=1.0.0",
    INACTIVE: "presence.channel.state.inactive?v=1.0.0",
    INTERVAL: "presence.channel.occupancy.counted?v=1.0.0",
}
_USERS = {JOIN: "usersJoined", LEAVE: "usersLeft", TIMEOUT: "usersTimedout"}

Envelope = Literal["none", "1.0", "2.0", "2.1"]


class Oddities(BaseModel):
    """What captures of the real webhooks show, against their own schema. All off by default."""

    model_config = ConfigDict(extra="forbid")

    doubled_prefix: bool = False
    """The schema of a leave carries its prefix twice."""
    zero_occupancy_missing: bool = False
    """A leave of the last one has no `occupancy`."""
    string_occupancy: bool = False
    """The occupancy of an interval is text."""
    channel_id: bool = False
    """A timeout names its channel `channelId` and calls itself an occupancy count."""


def schema(action: str, oddities: Oddities) -> str:
    """The schema of an event of `action`."""
    if action == TIMEOUT and oddities.channel_id:
        return PREFIX + SCHEMAS[INTERVAL]
    if action == LEAVE and oddities.doubled_prefix:
        return PREFIX + PREFIX + SCHEMAS[LEAVE]
    return PREFIX + SCHEMAS[action]


def item(event: PresenceEvent, payload: dict[str, Any], identity: str, oddities: Oddities) -> dict[str, Any]:
    """One element of `data`, but for the key; receivers tell repeats by `identity`.

    `payload` is the body that subscribers got: an interval names here whom it names there.
    """
    channel = "channelId" if event.action == TIMEOUT and oddities.channel_id else "channel"
    item_fields: dict[str, Any] = {"id": identity, channel: event.channel}
    if event.uuid is not None:
        item_fields["userId"] = event.uuid
    if event.action not in (ACTIVE, INACTIVE):
        item_fields |= _occupancy(event, oddities)
    if event.action == INTERVAL:
        item_fields |= {_USERS[action]: payload[action] for action in _USERS if action in payload}
        item_fields |= {"hereNowRefresh": True} if payload.get("here_now_refresh") else {}
    elif event.action == STATE:
        item_fields["data"] = event.state or {}
    elif event.uuid is not None:
        item_fields["data"] = _as_strings(event, oddities)
    return item_fields | {"timestamp": _iso(event.at)}


def body(schema_name: str, items: list[dict[str, Any]], envelope: Envelope) -> dict[str, Any]:
    """What is posted: the schema and its items, inside the envelope the target asked for."""
    plain: dict[str, Any] = {"schema": schema_name, "data": items}
    if envelope == "none":
        return plain
    if envelope == "1.0":
        return {"version": "1.0", "schema": schema_name, "event": {"payload": {"data": items}}}
    return {"version": envelope, "event": {"source": "presence", "payload": plain}}


def _occupancy(event: PresenceEvent, oddities: Oddities) -> dict[str, Any]:
    if event.action == LEAVE and event.occupancy == 0 and oddities.zero_occupancy_missing:
        return {}
    if event.action == INTERVAL and oddities.string_occupancy:
        return {"occupancy": str(event.occupancy)}
    return {"occupancy": event.occupancy}


def _as_strings(event: PresenceEvent, oddities: Oddities) -> dict[str, str]:
    """A join, leave or timeout repeats itself in `data`, every value as text (captured of joins)."""
    repeated = {
        "action": event.action,
        "uuid": event.uuid or "",
        "timestamp": str(int(event.at)),
        "precise_timestamp": str(milliseconds(event.at)),
    }
    return repeated | {name: str(value) for name, value in _occupancy(event, oddities).items()}


def _iso(at: float) -> str:
    moment = datetime.fromtimestamp(milliseconds(at) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
