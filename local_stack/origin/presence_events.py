"""Presence events and their encoding on a `-pnpres` channel (recorded; interval mode as documented).

Pure: announce and interval forms, the `u` mirror, and the size above which an interval contains no user ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local_stack.origin.reply import dumps
from local_stack.origin.settings import PresenceSettings

JOIN, LEAVE, TIMEOUT = "join", "leave", "timeout"
STATE, INTERVAL = "state-change", "interval"
ACTIVE, INACTIVE = "active", "inactive"

QUIET = frozenset({ACTIVE, INACTIVE})
"""Actions that only go to webhooks."""
DELTAS = (JOIN, LEAVE, TIMEOUT)


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """One event on `channel` at `at` (Unix seconds); `occupancy` is the value after it.

    `uuid` is None for interval, active and inactive. `state` is the new or accompanying state. `deltas` maps join,
    leave and timeout to the users of an interval.
    """

    action: str
    channel: str
    uuid: str | None
    at: float
    occupancy: int
    state: dict[str, Any] | None = None
    deltas: dict[str, tuple[str, ...]] | None = None


def payload(event: PresenceEvent, settings: PresenceSettings) -> dict[str, Any]:
    """`d` of the envelope."""
    body: dict[str, Any] = {"action": event.action}
    if event.uuid is not None:
        body["uuid"] = event.uuid
    body["timestamp"] = int(event.at)
    if settings.precise_timestamp and event.action != INTERVAL:
        body["precise_timestamp"] = milliseconds(event.at)
    body["occupancy"] = event.occupancy
    if event.state is not None:
        body["data"] = event.state
    elif event.action == TIMEOUT:
        body["data"] = {}
    if event.deltas is None or not settings.deltas:
        return body
    return _with_deltas(body, event.deltas, settings)


def mirror(event: PresenceEvent, body: dict[str, Any]) -> dict[str, Any]:
    """`u` of the envelope: the payload in the form that stream filters use."""
    envelope_fields = {f"pn_{name}": value for name, value in body.items() if name != "data"}
    envelope_fields |= {"pn_channel": quote(event.channel, safe="-_.~"), "pn_ispresence": 1}
    return dict(sorted(envelope_fields.items()))


def milliseconds(at: float) -> int:
    """Unix milliseconds of Unix seconds; one nanosecond is added so that exact milliseconds are not rounded down."""
    return int(at * 1000 + 1e-6)


def _with_deltas(
    body: dict[str, Any], deltas: dict[str, tuple[str, ...]], settings: PresenceSettings
) -> dict[str, Any]:
    named = {action: list(deltas[action]) for action in DELTAS if deltas.get(action)}
    full = body | named
    if len(dumps(full)) <= settings.deltas_max_bytes:
        return full
    body["here_now_refresh"] = True
    if settings.refresh_arrays == "none":
        return body
    return body | {action: users[: max(1, len(users) // 2)] for action, users in named.items()}
