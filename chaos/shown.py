"""What a client must show of its friends, told from all it has heard at once. Knows the message contracts only.

The client library keeps a running state; this works the same question out anew from the whole list, so that a fault
of the one is not a fault of the other. The rules, per friend: the newest `ts` counts; at one `ts` a notice counts
more than a sync and among notices the higher `at`; nothing passes an end of the friendship that is newer; a sync
speaks for every friend, named or not, once all of its parts are there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Message = dict[str, Any]
Claim = tuple[int, int, int, bool]
"""ts, 1 for a notice and 0 for a sync, at, online."""


def micros(stamp: str) -> int:
    """Microseconds since the epoch of an ISO 8601 stamp."""
    moment = datetime.fromisoformat(stamp)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def events(messages: Iterable[Message]) -> Iterator[Message]:
    """All that was said, batches opened."""
    for message in messages:
        yield from message["payload"]["events"] if message["type"] == "friend.batch" else [message]


@dataclass(frozen=True)
class Sync:
    """A whole friends.sync."""

    ts: int
    online: frozenset[str]


def syncs(messages: Iterable[Message]) -> list[Sync]:
    """Those of which all parts came, in any order."""
    parts: dict[tuple[int, int], dict[int, list[str]]] = defaultdict(dict)
    for message in messages:
        if message["type"] == "friends.sync":
            said = message["payload"]
            parts[micros(message["ts"]), said.get("parts", 1)][said.get("part", 1)] = said["onlineFriends"]
    return [
        Sync(ts, frozenset(user for some in have.values() for user in some))
        for (ts, wanted), have in parts.items()
        if len(have) == wanted
    ]


def online(messages: Sequence[Message]) -> set[str]:
    """The friends shown online after these messages."""
    claims, ended = notices(messages)
    whole = syncs(messages)
    newest = max(whole, key=lambda sync: sync.ts, default=Sync(-1, frozenset()))
    for user in newest.online | set(claims):
        claims[user].append((newest.ts, 0, 0, user in newest.online))
    return {
        user
        for user, said in claims.items()
        if max(said)[3] and max(said)[0] > ended.get(user, -1)
    }  # fmt: skip


def notices(messages: Sequence[Message]) -> tuple[dict[str, list[Claim]], dict[str, int]]:
    """What single messages say of each friend, and the newest end of each friendship."""
    claims: dict[str, list[Claim]] = defaultdict(list)
    ended: dict[str, int] = {}
    for event in events(messages):
        kind, said, ts = event["type"], event["payload"], micros(event["ts"])
        if kind in {"friend.online", "friend.offline"}:
            claims[said["userId"]].append((ts, 1, said.get("at", 0), kind == "friend.online"))
        elif kind == "friend.added":
            claims[said["userId"]].append((ts, 1, said.get("at", 0), said["online"]))
        elif kind == "friend.removed":
            ended[said["userId"]] = max(ts, ended.get(said["userId"], -1))
    return claims, ended
