"""Parses Events & Actions webhooks, the alternative to subscribing. Pure; what is not understood is in `unknown`.

Lenient as the captures demand (PubNub docs: Events & Actions payloads): ``schema`` or ``dataSchema``, its prefix
sometimes twice; items bare or inside ``event.payload``; ``channel`` or ``channelId``; numbers as digits in text;
``occupancy`` missing; user lists of an interval under either name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph_service.model.sharding import ShardMap
from pubnub_bridge.ingest.parser import ParsedPresence

MAX_BATCH = 10_000
"""Items of one call (PubNub docs: Events & Actions batching)."""

_ACTIONS = (
    ("presence.user.channel.joined", "join"),
    ("presence.user.channel.left", "leave"),
    ("presence.user.timedout.in.channel", "timeout"),
    ("presence.channel.occupancy.counted", "interval"),
)
_IGNORED = (
    "presence.channel.user.state.in.changed",
    "presence.channel.state.active",
    "presence.channel.state.inactive",
)
_DELTAS = {
    "join": ("usersJoined", "usersJoinedDelta", "join"),
    "leave": ("usersLeft", "usersLeftDelta", "leave"),
    "timeout": ("usersTimedout", "usersTimedOut", "usersTimedoutDelta", "timeout"),
}


def parse_webhook(body: Any, shards: ShardMap, now: int) -> ParsedPresence:
    """Everything in one call; `now` is PubNub's time in milliseconds."""
    found = ParsedPresence()
    for schema, item in _items(body, found):
        action = _action(schema, item)
        if action is None:
            if not any(word in schema for word in _IGNORED):
                found.unknown.append(f"webhook schema {schema[-80:]!r}")
            continue
        shard = shards.parse(str(item.get("channel") or item.get("channelId") or ""))
        if shard is not None:
            stamp = _milliseconds(item.get("timestamp"), now)
            found.add(shard, _presence(action, item, stamp), stamp, now)
    return found


def _items(body: Any, found: ParsedPresence) -> list[tuple[str, Mapping[str, Any]]]:
    """The (schema, item) pairs of a call in any envelope."""
    if isinstance(body, list):
        return [pair for one in body for pair in _items(one, found)]
    if not isinstance(body, Mapping):
        found.unknown.append(f"a webhook body of type {type(body).__name__}")
        return []
    schema = str(body.get("schema") or body.get("dataSchema") or "")
    event = body.get("event")
    inner = event.get("payload") if isinstance(event, Mapping) else None
    if isinstance(inner, Mapping):
        return _items({"schema": schema, **inner}, found)
    data = body.get("data")
    if isinstance(data, Mapping) or (data is None and "channel" in body):
        data = [body if data is None or "channel" in body else data]
    if not isinstance(data, list):
        found.unknown.append("a webhook body without data")
        return []
    return [(schema, item) for item in data if isinstance(item, Mapping)]


def _action(schema: str, item: Mapping[str, Any]) -> str | None:
    """From the item, else from the name of the schema: a timeout was captured under the interval's schema."""
    data = item.get("data")
    action = data.get("action") if isinstance(data, Mapping) else None
    action = action or item.get("action")
    if isinstance(action, str) and action in {"join", "leave", "timeout", "interval"}:
        return action
    return next((name for word, name in _ACTIONS if word in schema), None)


def _presence(action: str, item: Mapping[str, Any], stamp: int) -> dict[str, Any]:
    """The same item in the form of the subscribe loop's presence bodies."""
    data = item.get("data")
    body: dict[str, Any] = {"action": action, "precise_timestamp": stamp}
    precise = data.get("precise_timestamp") if isinstance(data, Mapping) else None
    if precise is not None:
        body["precise_timestamp"] = precise
    if action == "interval":
        for word, names in _DELTAS.items():
            body[word] = next((item[name] for name in names if isinstance(item.get(name), list)), [])
        body["here_now_refresh"] = item.get("hereNowRefresh") or item.get("here_now_refresh")
    else:
        body["uuid"] = item.get("userId") or item.get("uuid")
    return body


def _milliseconds(stamp: Any, now: int) -> int:
    """When it happened; `now` where that cannot be parsed."""
    try:
        return int(datetime.fromisoformat(str(stamp)).timestamp() * 1000)
    except ValueError:
        return now
