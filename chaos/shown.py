"""The friend view that a client must show, computed from all of its messages at once. Uses the message contracts only.

The client library maintains a running state; this computes the same result from the whole list, so that they do not share
a fault. The rules for each friend: the newest `ts` counts; at the same `ts` a notification counts more than a sync, and
among notifications the higher `at`; nothing counts that is older than an end of the friendship; a sync covers every
friend, listed or not, once all of its parts have arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Message = dict[str, Any]
Claim = tuple[int, int, int, bool]
"""ts, 1 for a notification and 0 for a sync, at, online."""


def micros(stamp: str) -> int:
    """Microseconds since the epoch of an ISO 8601 stamp."""
    moment = datetime.fromisoformat(stamp)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def events(messages: Iterable[Message]) -> Iterator[Message]:
    """All events, including those inside batches."""
    for message in messages:
        yield from message["payload"]["events"] if message["type"] == "friend.batch" else [message]


@dataclass(frozen=True)
class Sync:
    """A complete friends.sync."""

    ts: int
    online: frozenset[str]


def syncs(messages: Iterable[Message]) -> list[Sync]:
    """The syncs of which all parts have arrived, in any order."""
    parts: dict[tuple[int, int], dict[int, list[str]]] = defaultdict(dict)
    for message in messages:
        if message["type"] == "friends.sync":
            payload = message["payload"]
            part = parts[micros(message["ts"]), payload.get("parts", 1)]
            part[payload.get("part", 1)] = payload["onlineFriends"]
    return [
        Sync(ts, frozenset(user for some in have.values() for user in some))
        for (ts, wanted), have in parts.items()
        if len(have) == wanted
    ]


def online(messages: Sequence[Message]) -> set[str]:
    """The friends shown online after these messages."""
    claims, ended = presence_claims(messages)
    complete = syncs(messages)
    newest = max(complete, key=lambda sync: sync.ts, default=Sync(-1, frozenset()))
    for user in newest.online | set(claims):
        claims[user].append((newest.ts, 0, 0, user in newest.online))
    return {
        user
        for user, found in claims.items()
        if max(found)[3] and max(found)[0] > ended.get(user, -1)
    }  # fmt: skip


def presence_claims(messages: Sequence[Message]) -> tuple[dict[str, list[Claim]], dict[str, int]]:
    """The claims of single events about each friend, and the newest end of each friendship."""
    claims: dict[str, list[Claim]] = defaultdict(list)
    ended: dict[str, int] = {}
    for event in events(messages):
        kind, payload, ts = event["type"], event["payload"], micros(event["ts"])
        if kind in {"friend.online", "friend.offline"}:
            claims[payload["userId"]].append((ts, 1, payload.get("at", 0), kind == "friend.online"))
        elif kind == "friend.added":
            claims[payload["userId"]].append((ts, 1, payload.get("at", 0), payload["online"]))
        elif kind == "friend.removed":
            ended[payload["userId"]] = max(ts, ended.get(payload["userId"], -1))
    return claims, ended
