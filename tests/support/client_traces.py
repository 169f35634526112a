"""Made-up histories of one inbox, with the view they must end in: for every client's rules, in whatever language.

A history is a truth that changes (friends, requests, who is online) and the messages that tell of it. On the way
messages are repeated, delayed past newer ones and, where a sync follows, lost. Each message carries `ts`, the clock of
the read it was made from, as the service does it.
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
    """What is so, and how it is told."""

    random: random.Random
    clock: int = 0
    """Microseconds."""
    online: dict[str, bool] = field(default_factory=dict)
    friends: set[str] = field(default_factory=set)
    requests: dict[str, str] = field(default_factory=dict)
    told: list[Json] = field(default_factory=list)

    def tick(self) -> str:
        """The next reading of the clock; sometimes the same one, since two reads may share it."""
        self.clock += self.random.choice([0, 1, 3, 1_000, 2_000_000])
        return stamp(self.clock)

    def presence(self, user: str) -> None:
        """A friend comes or goes."""
        self.clock += 1  # two changes of one person are never read at one moment
        self.online[user] = not self.online[user]
        kind = "friend.online" if self.online[user] else "friend.offline"
        self._tell(kind, {"userId": user, "at": self.clock // 1000} | self._words(kind, user))

    def relation(self, user: str) -> None:
        """A friendship, a request, or their end."""
        self.clock += 1
        if user in self.friends or user in self.requests:
            self.friends.discard(user)
            self.requests.pop(user, None)
            self._tell("friend.removed", {"userId": user})
        elif self.random.random() < 0.4:
            self.requests[user] = self.random.choice([user, ME])
            words = {"userId": user, "name": user.title(), "requestedBy": self.requests[user]}
            self._tell("friend.requested", words)
        else:
            self.friends.add(user)
            words = {"userId": user, "name": user.title(), "online": self.online[user], "lastSeen": None}
            self._tell("friend.added", words)

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
            self.told.append(message("friends.sync", ts, words))

    def page(self) -> None:
        """All friends by HTTP; no message, but it arrives among them."""
        rows = [
            {"id": user, "name": user.title(), "online": self.online[user], "lastSeen": None, "since": None}
            for user in sorted(self.friends)
        ]
        self.told.append({"type": "page", "schemaVersion": "1.0.0", "ts": self.tick(), "payload": rows})

    def view(self) -> Json:
        """What every client must show in the end."""
        return {
            "online": sorted(user for user in self.friends if self.online[user]),
            "friends": sorted(self.friends),
            "requests": dict(sorted(self.requests.items())),
            "total": len(self.friends),
        }

    def _words(self, kind: str, user: str) -> Json:
        return {"name": user.title()} if kind == "friend.online" else {"lastSeen": stamp(self.clock)}

    def _tell(self, kind: str, payload: Json) -> None:
        self.told.append(message(kind, self.tick(), payload))


def message(kind: str, ts: str, payload: Json) -> Json:
    """As on the wire."""
    return {
        "type": kind,
        "schemaVersion": "1.0.0",
        "eventId": f"evt_{kind}_{ts}",
        "ts": ts,
        "payload": payload,
    }


def stamp(micros: int) -> str:
    """A time as the service writes it."""
    return (BEGAN + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def trace(seed: int) -> Json:
    """One history: `messages` as they arrive, `view` as it must be after the last one."""
    rolled = random.Random(seed)
    people = [f"p{number}" for number in range(rolled.randint(1, 6))]
    truth = Truth(rolled, online={user: rolled.random() < 0.5 for user in people})
    truth.friends = set()
    for _ in range(rolled.randint(5, 40)):
        user = rolled.choice(people)
        if (roll := rolled.random()) < 0.1:
            truth.sync()
        elif roll < 0.15:
            truth.page()
        elif user in truth.friends and rolled.random() < 0.7:
            truth.presence(user)
        else:
            truth.relation(user)
    delivered = list(_on_the_way(rolled, truth.told))
    truth.told = []
    truth.clock += 1
    truth.sync()
    return {"seed": seed, "messages": [*delivered, *_noise(), *truth.told], "view": truth.view()}


def _on_the_way(rolled: random.Random, told: list[Json]) -> Iterator[Json]:
    """Presence may be lost, everything may be late or come twice, some of it comes as batches."""
    late: list[Json] = []
    for one in told:
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
    """What no client of this version understands, and must take no harm from."""
    ts = stamp(10**15)
    yield message("friend.waved", ts, {"userId": "p0"})
    yield message("friend.removed", ts, {"userId": "p0"}) | {"schemaVersion": "2.0.0"}
    yield message("friends.sync", ts, {"people": []}) | {"schemaVersion": "2.0.0"}
