"""A client's friend list, as a last-write-wins register per friend over the messages of its inbox. Pure.

``web/state.js`` implements the same rules for browsers. Messages can arrive twice, late and in any order. Invariants:

- per friend the newest `ts` wins; on a tie a notification wins over a sync, then the higher `at`;
- a removed friend leaves a tombstone that older messages cannot pass;
- a sync sets all friends as of its `ts`, and is the floor for older messages about friends not in it; a user who is not
  in it may still be a friend, so an older start or end of the friendship that arrives late still counts;
- the parts of a sync are applied together; a newer sync discards an incomplete one;
- a message of another major schema version is ignored, as is an unknown type; unknown members are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graph_service.model.timestamps import parse_microseconds

MAJOR_VERSION = "1"
Key = tuple[int, int, int]
"""ts (microseconds), 1 for a notification or 0 for a sync or page, at (milliseconds): the higher key wins."""


@dataclass(slots=True)
class FriendView:
    """One friend as shown."""

    online: bool
    key: Key
    proof: int = 0
    """The newest `ts` of a message that only a friend receives."""
    name: str = ""
    last_seen: str | None = None


@dataclass(slots=True)
class _Parts:
    """The parts of one sync that have arrived."""

    ts: int
    total: int
    have: dict[int, list[str]] = field(default_factory=dict)


def understood(message: Mapping[str, Any]) -> bool:
    """Whether the message is of the major schema version that these rules are for."""
    return str(message.get("schemaVersion", MAJOR_VERSION)).partition(".")[0] == MAJOR_VERSION


class FriendList:
    """One client's view of its friends."""

    def __init__(self) -> None:
        self.friends: dict[str, FriendView] = {}
        self.requests: dict[str, str] = {}
        """Pending requests: the other user, and who sent it."""
        self.total: int | None = None
        """Number of friends in the last sync."""
        self.relations: dict[str, str] = {}
        """The last friendship event of each user: added, removed or requested."""
        self._removed: dict[str, int] = {}
        self._related: dict[str, int] = {}
        self._floor = 0
        self._parts: _Parts | None = None

    @property
    def online(self) -> set[str]:
        """Friends shown online."""
        return {user for user, shown in self.friends.items() if shown.online}

    def apply(self, message: Mapping[str, Any]) -> None:
        """Apply one message, in any order. A message that is not understood is ignored."""
        if not understood(message):
            return
        kind, payload = message["type"], message["payload"]
        ts = parse_microseconds(message["ts"])
        if kind == "friend.batch":
            for event in payload["events"]:
                self.apply(event)
        elif kind == "friends.sync":
            self._sync_part(ts, payload)
        elif kind in {"friend.online", "friend.offline"}:
            self._presence(payload, kind == "friend.online", (ts, 1, payload.get("at", 0)))
        elif kind in {"friend.added", "friend.removed", "friend.requested"}:
            self._relation(kind, payload, ts)

    def page(self, friends: Iterable[Mapping[str, Any]], ts: int) -> None:
        """Merge an HTTP response: rows of `id`, `online`, `name`, `lastSeen` as of `ts`."""
        for row in friends:
            if self._before_floor(row["id"], ts):
                self._offline_friend(row["id"], row, ts)
            else:
                self._presence({"userId": row["id"], **row}, row["online"], (ts, 0, 0))

    def _presence(self, payload: Mapping[str, Any], online: bool, key: Key, proof: bool = True) -> None:
        user = payload["userId"]
        if key[0] <= self._removed.get(user, -1):
            return
        shown = self.friends.get(user)
        if shown and proof:
            shown.proof = max(shown.proof, key[0])
        if key < (shown.key if shown else (self._floor, 0, 0)):
            return
        if shown is None:
            shown = self.friends[user] = FriendView(online, key, key[0])
        shown.online, shown.key = online, key
        shown.name = payload.get("name") or shown.name
        shown.last_seen = payload.get("lastSeen") or shown.last_seen

    def _relation(self, kind: str, payload: Mapping[str, Any], ts: int) -> None:
        user = payload["userId"]
        if kind == "friend.added":
            self._added(user, payload, ts)
        elif kind == "friend.removed":
            self._removed[user] = max(ts, self._removed.get(user, -1))
            if user in self.friends and self.friends[user].proof <= ts:
                del self.friends[user]
        if ts < self._related.get(user, -1):
            return
        self._related[user] = ts
        self.relations[user] = kind.removeprefix("friend.")
        if kind == "friend.requested":
            self.requests[user] = payload["requestedBy"]
        else:
            self.requests.pop(user, None)

    def _added(self, user: str, payload: Mapping[str, Any], ts: int) -> None:
        if self._before_floor(user, ts):
            self._offline_friend(user, payload, ts)
        else:
            self._presence(payload, payload["online"], (ts, 1, payload.get("at", 0)))

    def _before_floor(self, user: str, ts: int) -> bool:
        """Whether a friendship is reported after a newer sync that did not contain the user, who is offline then."""
        return user not in self.friends and self._removed.get(user, -1) < ts < self._floor

    def _offline_friend(self, user: str, row: Mapping[str, Any], ts: int) -> None:
        self.friends[user] = FriendView(
            False, (self._floor, 0, 0), ts, row.get("name") or "", row.get("lastSeen")
        )

    def _sync_part(self, ts: int, payload: Mapping[str, Any]) -> None:
        part, parts = payload.get("part", 1), payload.get("parts", 1)
        if (
            self._parts is None
            or ts > self._parts.ts
            or (ts == self._parts.ts and parts != self._parts.total)
        ):
            self._parts = _Parts(ts, parts)
        if ts < self._parts.ts:
            return
        self._parts.have[part] = payload["onlineFriends"]
        if len(self._parts.have) == self._parts.total:
            online = {user for some in self._parts.have.values() for user in some}
            self._parts.have.clear()
            self._sync(ts, online, payload["totalFriends"])

    def _sync(self, ts: int, online: set[str], total: int) -> None:
        self.total = total
        for user in online | set(self.friends):
            self._presence({"userId": user}, user in online, (ts, 0, 0), user in online)
        self._floor = max(self._floor, ts)
