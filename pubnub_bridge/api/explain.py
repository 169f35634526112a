"""Why a viewer sees what they see of a friend: what the graph, the streams and PubNub say, and a sentence of it.

Knows bodies and where each part is read; knows no route and no caller. What is shown is decided by the graph alone,
as for the viewer's own client; everything else tells how it came to be so, or what is about to change it.
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

MOST_PENDING = 500
"""Entries of the seen stream that are looked through."""


class WhyQuery(RequestModel):
    """Whose view of whom."""

    viewer: UserId
    friend: UserId


class ChangeNotification(ResponseModel):
    """One settled change of the friend."""

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
    """Something PubNub said of the friend that is not in the graph yet."""

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
    """The same in one or two sentences, with names, and what is about to change it."""
    friends: bool
    viewer_blocked: bool
    friend_blocked: bool
    flag: bool
    invisible: bool
    flag_at: Time | None
    last_seen: Time | None
    present_now: bool | None
    """What Where Now says; null where PubNub does not answer."""
    pending: list[Pending]
    """What was seen and waits for the hold or for the graph, the oldest first."""
    notices: list[ChangeNotification]
    ts: Time


async def explained(context: ApiContext, viewer: str, friend: str) -> Why:
    """The whole answer.

    Raises:
        UserNotFound: one of the two does not exist.
    """
    row = await context.backends.graph.row("pair_state", viewer=viewer, friend=friend)
    if row is None:
        raise UserNotFound(id=f"{viewer}' or '{friend}")
    found = await context.presence_lookup.all([friend])
    present = found[friend].online if friend in found else None
    waiting = await pending(context, friend, row["presence_at"])
    shown, because = _shown(row)
    return Why(
        viewer=viewer,
        friend=friend,
        shown_online=shown,
        because=because,
        verdict=verdict(row, present, waiting),
        flag=row["present"],
        flag_at=milliseconds(row["presence_at"]),
        last_seen=milliseconds(row["last_seen"]),
        present_now=present,
        pending=[_pending(seen, context.settings) for seen in waiting],
        notices=[_notice(record) for record in await context.change_history.changes_of(friend)],
        ts=microseconds(row["ts"]),
        **{name: row[name] for name in _AS_READ},
    )


_AS_READ = ("viewer_name", "friend_name", "friends", "viewer_blocked", "friend_blocked", "invisible")


async def pending(context: ApiContext, user: str, written: int) -> list[PresenceEvent]:
    """What stands of a user in the seen stream and is newer than `written`, the time of the flag in milliseconds."""
    key = keys.presence_log(context.shards.partition(user))
    rows = (await context.backends.valkey.read({key: FIRST}, count=MOST_PENDING)).get(key, [])
    seen = [
        one for _, body in rows for one in presence_log.decode(body) if one.user == user and one.at > written
    ]
    return sorted(seen, key=lambda one: one.at)


def verdict(row: Mapping[str, Any], present: bool | None, waiting: Sequence[PresenceEvent]) -> str:
    """In plain words: what the viewer sees, why, and what does not fit it yet. Pure."""
    shown, _ = _shown(row)
    viewer, friend = row["viewer_name"] or "The viewer", row["friend_name"] or "the friend"
    state = "online" if shown else "offline"
    said = f"{viewer} sees {friend} {state} because {_in_words(row, friend)}."
    related = row["friends"] and not row["invisible"]
    return f"{said} {_not_yet(row, present, waiting)}".strip() if related else said


def _in_words(row: Mapping[str, Any], friend: str) -> str:
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


def _not_yet(row: Mapping[str, Any], present: bool | None, waiting: Sequence[PresenceEvent]) -> str:
    if waiting and waiting[-1].online != row["present"]:
        state = "online" if waiting[-1].online else "offline"
        return f"A newer {waiting[-1].reason} waits for its hold or for the graph: {state} is next."
    if present is None:
        return "PubNub does not answer, so what it says now is not known."
    if present != row["present"]:
        return (
            f"PubNub says {'present' if present else 'absent'} now: the next event or repair puts it right."
        )
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


def _pending(seen: PresenceEvent, settings: Settings) -> Pending:
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
        online=seen.online,
        at=milliseconds(seen.at),
        reason=seen.reason,
        held_until=milliseconds(seen.at + times.of(seen)),
    )


def _notice(record: ChangeRecord) -> ChangeNotification:
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
