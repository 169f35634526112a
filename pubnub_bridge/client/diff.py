"""What changes in a client's picture when a message comes. Pure; the rules that decide are those of `view`.

A message that repeats what is shown, or is older, changes nothing: so arrival never decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graph_service.model.timestamps import parse_microseconds
from pubnub_bridge.client.friend_list import FriendList, understood


class Kind(StrEnum):
    """What became of a friend, or of all of them."""

    ONLINE = "online"
    OFFLINE = "offline"
    ADDED = "added"
    REMOVED = "removed"
    REQUESTED = "requested"
    ANSWERED = "answered"
    """A request is gone, by an answer or withdrawn."""
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

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
    """Applies a message to the view; what is different now, in the order of its events."""
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
    kind = before.became(_Friend.of(view, user), message["type"] == "friend.added")
    if kind is None:
        return []
    name = message["payload"].get("name", "") or before.name
    return [_change(view, kind, message, user, name)]


@dataclass(frozen=True, slots=True)
class _Friend:
    """What is shown of one user."""

    known: bool
    online: bool
    requested: bool
    name: str

    @classmethod
    def of(cls, view: FriendList, user: str) -> _Friend:
        shown = view.friends.get(user)
        return cls(
            shown is not None,
            bool(shown and shown.online),
            user in view.requests,
            shown.name if shown else "",
        )

    def became(self, now: _Friend, added: bool) -> Kind | None:
        """The change that a person would name first; `added` says that the message tells of a new friend."""
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
    """That it came, where it says something new; then who is shown otherwise, unless this is the first picture of all."""
    online, total = view.online, view.total
    view.apply(message)
    if view.online == online and view.total == total:
        return []
    changes = [Change(Kind.SYNC, parse_microseconds(message["ts"]), len(view.online), message["eventId"])]
    if total is not None:
        changes += [_change(view, Kind.ONLINE, message, user) for user in sorted(view.online - online)]
        changes += [_change(view, Kind.OFFLINE, message, user) for user in sorted(online - view.online)]
    return changes


def _change(view: FriendList, kind: Kind, message: Mapping[str, Any], user: str, name: str = "") -> Change:
    shown = view.friends.get(user)
    return Change(
        kind,
        parse_microseconds(message["ts"]),
        len(view.online),
        message["eventId"],
        user,
        name or (shown.name if shown else ""),
        shown.last_seen if shown else None,
    )
