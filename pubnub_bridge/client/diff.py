"""What changes in a client's view when a message arrives. Pure; the rules that decide are those of `friend_list`.

A message that repeats what is shown, or is older, changes nothing: arrival order never decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graph_service.model.timestamps import parse_microseconds
from pubnub_bridge.client.friend_list import FriendList, understood


class Kind(StrEnum):
    """What changed for a friend, or for all of them."""

    ONLINE = "online"
    OFFLINE = "offline"
    ADDED = "added"
    REMOVED = "removed"
    REQUESTED = "requested"
    ANSWERED = "answered"
    """A request is gone: accepted, declined or cancelled."""
    SYNC = "sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One visible change."""

    kind: Kind
    ts: int
    """Of the event, microseconds."""
    online: int
    """Friends shown online after it."""
    event_id: str
    """Of the message, for logs."""
    user: str | None = None
    name: str = ""
    last_seen: str | None = None


def apply(view: FriendList, message: Mapping[str, Any]) -> list[Change]:
    """Apply a message to the view; returns what differs now, in the order of its events."""
    if not understood(message):
        return []
    if message["type"] == "friend.batch":
        return [change for event in message["payload"]["events"] for change in apply(view, event)]
    if message["type"] == "friends.sync":
        return _sync(view, message)
    user = message["payload"].get("userId")
    if user is None:
        return []
    before = _Friend.of(view, user)
    view.apply(message)
    kind = before.change_to(_Friend.of(view, user), added=message["type"] == "friend.added")
    if kind is None:
        return []
    name = message["payload"].get("name", "") or before.name
    return [_change(view, kind, message, user, name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Friend:
    """How one user is shown."""

    known: bool
    online: bool
    requested: bool
    name: str

    @classmethod
    def of(cls, view: FriendList, user: str) -> _Friend:
        shown = view.friends.get(user)
        return cls(
            known=shown is not None,
            online=bool(shown and shown.online),
            requested=user in view.requests,
            name=shown.name if shown else "",
        )

    def change_to(self, now: _Friend, *, added: bool) -> Kind | None:
        """The most important change; `added` says that the message announces a new friend."""
        if added and now.known and (self.requested or not self.known):
            return Kind.ADDED
        if self.requested != now.requested and not now.known:
            return Kind.REQUESTED if now.requested else Kind.ANSWERED
        if self.known and not now.known:
            return Kind.REMOVED
        if self.online != now.online:
            return Kind.ONLINE if now.online else Kind.OFFLINE
        return None


def _sync(view: FriendList, message: Mapping[str, Any]) -> list[Change]:
    """The sync, where it changes anything; then each friend who changed, unless this is the first sync."""
    online, total = view.online, view.total
    view.apply(message)
    if view.online == online and view.total == total:
        return []
    ts = parse_microseconds(message["ts"])
    changes = [Change(kind=Kind.SYNC, ts=ts, online=len(view.online), event_id=message["eventId"])]
    if total is not None:
        changes += [_change(view, Kind.ONLINE, message, user) for user in sorted(view.online - online)]
        changes += [_change(view, Kind.OFFLINE, message, user) for user in sorted(online - view.online)]
    return changes


def _change(view: FriendList, kind: Kind, message: Mapping[str, Any], user: str, name: str = "") -> Change:
    shown = view.friends.get(user)
    return Change(
        kind=kind,
        ts=parse_microseconds(message["ts"]),
        online=len(view.online),
        event_id=message["eventId"],
        user=user,
        name=name or (shown.name if shown else ""),
        last_seen=shown.last_seen if shown else None,
    )
