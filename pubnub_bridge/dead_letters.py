"""Messages that PubNub refused for their own sake: kept, shown and put back. Knows streams."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from graph_service.valkey import FIRST, Valkey
from pubnub_bridge import keys, metrics
from pubnub_bridge.notice import Event, Notice, SyncNotice, encode
from pubnub_bridge.wire import micros


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message."""

    entry: str
    inbox: str
    reason: str
    body: str


class DeadLetters:
    """The dead letters of all partitions."""

    def __init__(self, valkey: Valkey, partitions: int) -> None:
        self._valkey = valkey
        self._partitions = partitions

    async def bury(self, partition: int, inbox: str, body: bytes, reason: str) -> None:
        """Keep one."""
        row = json.dumps({"inbox": inbox, "reason": reason, "body": body.decode()}).encode()
        await self._valkey.append([(keys.dead(partition), row)])
        metrics.DEAD.inc()

    async def all(self, most: int = 1000) -> list[DeadLetter]:
        """Those kept, the oldest of each partition first."""
        found: list[DeadLetter] = []
        for partition in range(self._partitions):
            rows = await self._valkey.read({keys.dead(partition): FIRST}, count=most)
            found += [
                DeadLetter(entry, **json.loads(row)) for entry, row in rows.get(keys.dead(partition), [])
            ]
        return found[:most]

    async def redrive(self) -> int:
        """Put all back into the inbox streams; returns how many."""
        count = 0
        for partition in range(self._partitions):
            key = keys.dead(partition)
            while rows := (await self._valkey.read({key: FIRST})).get(key):
                letters = [DeadLetter(entry, **json.loads(row)) for entry, row in rows]
                notices = [notice for letter in letters for notice in revived(letter)]
                await self._valkey.append([(keys.inbox(partition), encode(notices))])
                await self._valkey.delete({key: [entry for entry, _ in rows]})
                count += len(rows)
        return count


def revived(letter: DeadLetter) -> list[Notice | SyncNotice]:
    """What a letter said, as notices: its events as they are, and a fresh sync for an old one."""
    message = json.loads(letter.body)
    if message["type"] == "friends.sync":
        return [SyncNotice(letter.inbox, reason="lost")]
    events = message["payload"]["events"] if message["type"] == "friend.batch" else [message]
    return [Notice(_event(event), [letter.inbox]) for event in events]


def _event(event: dict[str, Any]) -> Event:
    payload = event["payload"]
    kind = str(event["type"]).removeprefix("friend.")
    body = json.dumps(event, separators=(",", ":")).encode()
    return Event(payload["userId"], kind, payload.get("at", 0), micros(event["ts"]), body)
