"""Events & Actions: encode presence events for webhooks (PubNub docs and captures).

Pure: schemas, members and the oddities that captures show.
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
    """Deviations from their own schema that captures of the real webhooks show. All off by default."""

    model_config = ConfigDict(extra="forbid")

    doubled_prefix: bool = False
    """The schema of a leave has its prefix twice."""
    zero_occupancy_missing: bool = False
    """The last occupant's leave has no `occupancy`."""
    string_occupancy: bool = False
    """The occupancy of an interval is text."""
    channel_id: bool = False
    """A timeout has `channelId` for its channel and the schema of an occupancy count."""


def schema(action: str, oddities: Oddities) -> str:
    """The schema of an event of `action`."""
    if action == TIMEOUT and oddities.channel_id:
        return PREFIX + SCHEMAS[INTERVAL]
    if action == LEAVE and oddities.doubled_prefix:
        return PREFIX + PREFIX + SCHEMAS[LEAVE]
    return PREFIX + SCHEMAS[action]


def item(event: PresenceEvent, payload: dict[str, Any], identity: str, oddities: Oddities) -> dict[str, Any]:
    """One element of `data`, without the key; receivers recognize repeats by `identity`.

    `payload` is the body that subscribers get: an interval has the same user ids in both.
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
    """The body of a POST: the schema and its items, in the target's envelope."""
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
    """A join, leave or timeout is repeated in `data`, every value as text (captured of joins)."""
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
