"""Generated histories of one inbox, each with the view it must end in, to test the rules of clients in any language.

A history is a truth that changes (friends, requests, who is online) and the messages about it. On the way messages are
repeated, delayed past newer ones and, where a sync follows, lost. Each message carries `ts`, the clock of the read
that it is from, as in the service.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

ME = "me"
BEGAN = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
LOSABLE = {"friend.online", "friend.offline", "friends.sync", "page"}
Json = dict[str, Any]


@dataclass
class Truth:
    """The true state, and the messages about it."""

    random: random.Random
    clock: int = 0
    """Microseconds."""
    online: dict[str, bool] = field(default_factory=dict)
    friends: set[str] = field(default_factory=set)
    requests: dict[str, str] = field(default_factory=dict)
    sent: list[Json] = field(default_factory=list)

    def tick(self) -> str:
        """The next reading of the clock; sometimes the same one, since two reads may share it."""
        self.clock += self.random.choice([0, 1, 3, 1_000, 2_000_000])
        return stamp(self.clock)

    def presence(self, user: str) -> None:
        """A friend comes or goes."""
        self.clock += 1  # two changes of one user are never read at one moment
        self.online[user] = not self.online[user]
        kind = "friend.online" if self.online[user] else "friend.offline"
        self._send(kind, {"userId": user, "at": self.clock // 1000} | self._words(kind, user))

    def relation(self, user: str) -> None:
        """A friendship, a request, or their end."""
        self.clock += 1
        if user in self.friends or user in self.requests:
            self.friends.discard(user)
            self.requests.pop(user, None)
            self._send("friend.removed", {"userId": user})
        elif self.random.random() < 0.4:
            self.requests[user] = self.random.choice([user, ME])
            words = {"userId": user, "name": user.title(), "requestedBy": self.requests[user]}
            self._send("friend.requested", words)
        else:
            self.friends.add(user)
            words = {"userId": user, "name": user.title(), "online": self.online[user], "lastSeen": None}
            self._send("friend.added", words)

    def sync(self) -> None:
        """Who is online, in one part or several."""
        here = sorted(user for user in self.friends if self.online[user])
        parts = self.random.choice([1, 1, 2, 3])
        ts = self.tick()
        for part in range(parts):
            words: Json = {
                "onlineFriends": here[part::parts],
                "totalFriends": len(self.friends),
                "totalOnline": len(here),
            }
            if parts > 1:
                words |= {"part": part + 1, "parts": parts}
            self.sent.append(message("friends.sync", ts, words))

    def page(self) -> None:
        """All friends by HTTP: not a message, but it arrives among them."""
        rows = [
            {"id": user, "name": user.title(), "online": self.online[user], "lastSeen": None, "since": None}
            for user in sorted(self.friends)
        ]
        self.sent.append({"type": "page", "schemaVersion": "1.0.0", "ts": self.tick(), "payload": rows})

    def view(self) -> Json:
        """The view of every client at the end."""
        return {
            "online": sorted(user for user in self.friends if self.online[user]),
            "friends": sorted(self.friends),
            "requests": dict(sorted(self.requests.items())),
            "total": len(self.friends),
        }

    def _words(self, kind: str, user: str) -> Json:
        return {"name": user.title()} if kind == "friend.online" else {"lastSeen": stamp(self.clock)}

    def _send(self, kind: str, payload: Json) -> None:
        self.sent.append(message(kind, self.tick(), payload))


def message(kind: str, ts: str, payload: Json) -> Json:
    """A message as published."""
    return {
        "type": kind,
        "schemaVersion": "1.0.0",
        "eventId": f"evt_{kind}_{ts}",
        "ts": ts,
        "payload": payload,
    }


def stamp(micros: int) -> str:
    """A time in the service's format."""
    return (BEGAN + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def trace(seed: int) -> Json:
    """One history: `messages` as they arrive, `view` as it must be after the last one."""
    rolled = random.Random(seed)
    users = [f"p{number}" for number in range(rolled.randint(1, 6))]
    truth = Truth(rolled, online={user: rolled.random() < 0.5 for user in users})
    truth.friends = set()
    for _ in range(rolled.randint(5, 40)):
        user = rolled.choice(users)
        if (roll := rolled.random()) < 0.1:
            truth.sync()
        elif roll < 0.15:
            truth.page()
        elif user in truth.friends and rolled.random() < 0.7:
            truth.presence(user)
        else:
            truth.relation(user)
    delivered = list(_on_the_way(rolled, truth.sent))
    truth.sent = []
    truth.clock += 1
    truth.sync()
    return {"seed": seed, "messages": [*delivered, *_noise(), *truth.sent], "view": truth.view()}


def _on_the_way(rolled: random.Random, sent: list[Json]) -> Iterator[Json]:
    """Presence may be lost, everything may be late or come twice, some of it comes as batches."""
    late: list[Json] = []
    for one in sent:
        lost = one["type"] in LOSABLE and rolled.random() < 0.15
        late += [] if lost else [one] * rolled.choice([1, 1, 1, 2, 3])
    spread = rolled.choice([0, 2, 8, 40])
    places = sorted(range(len(late)), key=lambda at: at + rolled.uniform(0, spread))
    batch: list[Json] = []
    for one in (late[at] for at in places):
        if one["type"] in {"friends.sync", "page"} or rolled.random() < 0.6:
            yield one
        else:
            batch.append(one)
        if len(batch) > rolled.randint(0, 4):
            yield message("friend.batch", max(event["ts"] for event in batch), {"events": batch})
            batch = []
    if batch:
        yield message("friend.batch", max(event["ts"] for event in batch), {"events": batch})


def _noise() -> Iterator[Json]:
    """Messages that no client of this version understands, and that must do no harm."""
    ts = stamp(10**15)
    yield message("friend.waved", ts, {"userId": "p0"})
    yield message("friend.removed", ts, {"userId": "p0"}) | {"schemaVersion": "2.0.0"}
    yield message("friends.sync", ts, {"people": []}) | {"schemaVersion": "2.0.0"}
