"""What was refused for its own sake: messages by PubNub, changes by the graph. Kept, shown and put back. Knows streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graph_service.model.timestamps import parse_microseconds
from graph_service.valkey.client import FIRST, Entry, Valkey
from pubnub_bridge import metrics
from pubnub_bridge.model.encoding import unpack_events
from pubnub_bridge.model.notification import Event, Notification, SyncNotification, encode
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.store import keys, presence_log


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message or change."""

    entry: str
    inbox: str
    """The recipient of a message; the user of a change."""
    reason: str
    body: str
    """A message as it was published; a change as a row of the seen stream."""
    kind: Literal["message", "change"] = "message"

    @property
    def about(self) -> set[str]:
        """The users it names."""
        if self.kind == "change":
            return {self.inbox}
        return {self.inbox, *(event["payload"].get("userId", "") for event in unpack_events(self.body))}

    @property
    def event_ids(self) -> list[str]:
        """The ids of what it says, as they stand in the logs."""
        if self.kind == "change":
            return [PresenceEvent(*json.loads(self.body)).event_id]
        return [str(event["eventId"]) for event in unpack_events(self.body)]


class DeadLetters:
    """The dead letters of all partitions."""

    def __init__(self, valkey: Valkey, partitions: int) -> None:
        self._valkey = valkey
        self._partitions = partitions

    async def add_message(self, partition: int, inbox: str, body: bytes, reason: str) -> None:
        """Keep a message."""
        row = json.dumps({"inbox": inbox, "reason": reason, "body": body.decode()}).encode()
        await self._valkey.append([(keys.dead_letters(partition), row)])
        metrics.DEAD.inc()

    async def add_change(self, partition: int, seen: PresenceEvent, reason: str) -> None:
        """Keep a change that the graph refuses."""
        body = json.dumps([seen.user, seen.online, seen.at, seen.shard, seen.reason])
        row = {"inbox": seen.user, "reason": reason, "body": body, "kind": "change"}
        await self._valkey.append([(keys.dead_letters(partition), json.dumps(row).encode())])
        metrics.DEAD.inc()

    async def all(self, most: int = 1000) -> list[DeadLetter]:
        """Those kept, the oldest of each partition first; no more than `most`."""
        found: list[DeadLetter] = []
        for partition in range(self._partitions):
            async for rows in self._pages(partition):
                found += [_letter(row) for row in rows]
                if len(found) >= most:
                    return found[:most]
        return found

    async def count(self) -> int:
        """How many are kept."""
        return sum(
            await self._valkey.lengths([keys.dead_letters(number) for number in range(self._partitions)])
        )

    async def redrive(self) -> int:
        """Put those that are there now back into the streams they came from; returns how many."""
        count = 0
        for partition in range(self._partitions):
            async for rows in self._pages(partition):
                await self._put_back(partition, [_letter(row) for row in rows])
                await self._valkey.delete({keys.dead_letters(partition): [entry for entry, _ in rows]})
                count += len(rows)
        return count

    async def erase(self, user: str) -> int:
        """Remove what names a user; returns how many letters that was."""
        count = 0
        for partition in range(self._partitions):
            async for rows in self._pages(partition):
                gone = [letter.entry for letter in map(_letter, rows) if user in letter.about]
                await self._valkey.delete({keys.dead_letters(partition): gone})
                count += len(gone)
        return count

    async def _pages(self, partition: int) -> AsyncIterator[list[Entry]]:
        """The entries that stand in a stream, a page at a time; reading ends at a page that is not full."""
        key, place = keys.dead_letters(partition), FIRST
        while rows := (await self._valkey.read({key: place}, count=PAGE)).get(key):
            place = rows[-1][0]
            yield rows
            if len(rows) < PAGE:
                return

    async def _put_back(self, partition: int, letters: Sequence[DeadLetter]) -> None:
        notices = [notice for one in letters if one.kind == "message" for notice in revived(one)]
        seen = [PresenceEvent(*json.loads(one.body)) for one in letters if one.kind == "change"]
        entries = [(keys.inbox(partition), encode(notices))] if notices else []
        await self._valkey.append(
            [*entries, *([(keys.presence_log(partition), presence_log.encode(seen))] if seen else [])]
        )


PAGE = 500


def _letter(row: Entry) -> DeadLetter:
    return DeadLetter(row[0], **json.loads(row[1]))


def revived(letter: DeadLetter) -> list[Notification | SyncNotification]:
    """What a message said, as notices: its events as they are, and a fresh sync for an old one."""
    if unpack_events(letter.body)[0]["type"] == "friends.sync":
        return [SyncNotification(letter.inbox, reason="lost")]
    return [Notification(_event(event), [letter.inbox]) for event in unpack_events(letter.body)]


def _event(event: dict[str, Any]) -> Event:
    payload = event["payload"]
    kind = str(event["type"]).removeprefix("friend.")
    body = json.dumps(event, separators=(",", ":")).encode()
    return Event(payload["userId"], kind, payload.get("at", 0), parse_microseconds(event["ts"]), body)
