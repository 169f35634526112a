"""Explain why a viewer sees what they see of a friend: what graph, streams and PubNub say, and one sentence about it.

Invariant: what is shown is decided by the graph alone, as for the viewer's own client. Everything else explains how it
came to be, or what is about to change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_service.api.schemas import RequestModel, ResponseModel, Time
from graph_service.errors import UserNotFound
from graph_service.model.ids import UserId
from graph_service.model.timestamps import microseconds, milliseconds
from graph_service.valkey.client import FIRST
from pubnub_bridge.debounce.debouncer import DebounceTimes
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.runtime.context import ApiContext
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys, presence_log
from pubnub_bridge.store.change_history import ChangeRecord

MAX_LOG_ENTRIES = 500
"""Of the presence log, that are searched for one user."""


class WhyQuery(RequestModel):
    """Whose view of whom."""

    viewer: UserId
    friend: UserId


class ChangeNotification(ResponseModel):
    """One committed change of the friend."""

    event_id: str
    online: bool
    at: Time | None
    reason: str
    held_until: Time | None
    settled_at: Time | None
    outcome: str
    recipients: int
    failed: int


class Pending(ResponseModel):
    """A presence event of the friend that is not committed yet."""

    online: bool
    at: Time | None
    reason: str
    held_until: Time | None


class Why(ResponseModel):
    """Why the viewer sees what they see."""

    viewer: str
    viewer_name: str
    friend: str
    friend_name: str
    shown_online: bool
    """What the viewer should see."""
    because: str
    verdict: str
    """The same in one or two sentences with names, and what is about to change it."""
    friends: bool
    viewer_blocked: bool
    friend_blocked: bool
    flag: bool
    invisible: bool
    flag_at: Time | None
    last_seen: Time | None
    present_now: bool | None
    """What Where Now says; null where PubNub does not respond."""
    pending: list[Pending]
    """Presence events that are debounced or not committed yet, the oldest first."""
    notices: list[ChangeNotification]
    ts: Time


async def explain(context: ApiContext, viewer: str, friend: str) -> Why:
    """The whole response.

    Raises:
        UserNotFound: one of the two does not exist.
    """
    row = await context.backends.graph.row("pair_state", viewer=viewer, friend=friend)
    if row is None:
        raise UserNotFound(id=f"{viewer}' or '{friend}")
    present_now = await context.presence_lookup.all([friend])
    present = present_now[friend].online if friend in present_now else None
    uncommitted = await pending(context, friend, row["presence_at"])
    shown, because = _shown(row)
    return Why(
        viewer=viewer,
        friend=friend,
        shown_online=shown,
        because=because,
        verdict=verdict(row, present, uncommitted),
        flag=row["present"],
        flag_at=milliseconds(row["presence_at"]),
        last_seen=milliseconds(row["last_seen"]),
        present_now=present,
        pending=[_pending(event, context.settings) for event in uncommitted],
        notices=[_notification(record) for record in await context.change_history.changes_of(friend)],
        ts=microseconds(row["ts"]),
        **{name: row[name] for name in _COPIED_COLUMNS},
    )


_COPIED_COLUMNS = ("viewer_name", "friend_name", "friends", "viewer_blocked", "friend_blocked", "invisible")


async def pending(context: ApiContext, user: str, written: int) -> list[PresenceEvent]:
    """A user's events in the presence log that are newer than `written`, the flag's time in milliseconds, oldest first."""
    key = keys.presence_log(context.shards.partition(user))
    rows = (await context.backends.valkey.read({key: FIRST}, count=MAX_LOG_ENTRIES)).get(key, [])
    events = [
        one for _, body in rows for one in presence_log.decode(body) if one.user == user and one.at > written
    ]
    return sorted(events, key=lambda one: one.at)


def verdict(row: Mapping[str, Any], present: bool | None, uncommitted: Sequence[PresenceEvent]) -> str:
    """In plain words: what the viewer sees, why, and what differs from it for now. Pure."""
    shown, _ = _shown(row)
    viewer, friend = row["viewer_name"] or "The viewer", row["friend_name"] or "the friend"
    state = "online" if shown else "offline"
    sentence = f"{viewer} sees {friend} {state} because {_reason(row, friend)}."
    visible = row["friends"] and not row["invisible"]
    return (
        f"{sentence} {_about_to_change(row, friend, present, uncommitted)}".strip() if visible else sentence
    )


def _reason(row: Mapping[str, Any], friend: str) -> str:
    viewer = row["viewer_name"] or "the viewer"
    if row["viewer_blocked"]:
        return f"{viewer} has blocked {friend}"
    if row["friend_blocked"]:
        return f"{friend} has blocked {viewer}"
    if not row["friends"]:
        return "they are not friends"
    if not row["present"]:
        return f"{friend} is settled offline" if row["presence_at"] else f"{friend} was never seen online"
    if row["invisible"]:
        return f"{friend} is online and chose to appear offline"
    return f"{friend} is settled online"


def _about_to_change(
    row: Mapping[str, Any], friend: str, present: bool | None, uncommitted: Sequence[PresenceEvent]
) -> str:
    newest = uncommitted[-1] if uncommitted else None
    if newest and newest.online != row["present"]:
        state = "online" if newest.online else "offline"
        return f"A newer {newest.reason} is not committed yet: {state} is next."
    if present is None:
        return "PubNub does not respond, so its current state is unknown."
    if present != row["present"]:
        state = "present" if present else "absent"
        return f"PubNub reports {friend} {state} now: the next presence event or reconcile corrects this."
    return ""


def _shown(row: Mapping[str, Any]) -> tuple[bool, str]:
    if not row["friends"]:
        blocked = row["viewer_blocked"] or row["friend_blocked"]
        return False, "one has blocked the other" if blocked else "they are not friends"
    if not row["present"]:
        return False, "the friend is settled offline"
    if row["invisible"]:
        return False, "the friend appears offline by choice"
    return True, "the friend is settled online"


def _pending(event: PresenceEvent, settings: Settings) -> Pending:
    times = DebounceTimes(
        *(
            int(s * 1000)
            for s in (
                settings.debounce_online_seconds,
                settings.debounce_leave_seconds,
                settings.debounce_timeout_seconds,
            )
        )
    )
    return Pending(
        online=event.online,
        at=milliseconds(event.at),
        reason=event.reason,
        held_until=milliseconds(event.at + times.of(event)),
    )


def _notification(record: ChangeRecord) -> ChangeNotification:
    return ChangeNotification(
        event_id=record.event_id,
        online=record.online,
        at=milliseconds(record.at),
        reason=record.reason,
        held_until=milliseconds(record.held_until),
        settled_at=milliseconds(record.settled_at),
        outcome=record.outcome,
        recipients=record.recipients,
        failed=record.failed,
    )
