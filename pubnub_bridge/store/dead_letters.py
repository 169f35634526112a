"""Dead letters: messages that PubNub rejected and changes that the graph rejected as invalid; retrying cannot help.

Each is stored with its reason, in one stream a partition, until it is redriven into the stream it came from.
"""

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

PAGE_ENTRIES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One rejected message or change. The fields but `entry` are the keys of the stored JSON."""

    entry: str
    """The id of its stream entry."""
    inbox: str
    """The recipient of a message; the user of a change."""
    reason: str
    body: str
    """A message as it was published; a change as a row of the presence log."""
    kind: Literal["message", "change"] = "message"

    @property
    def about(self) -> set[str]:
        """The users it names."""
        if self.kind == "change":
            return {self.inbox}
        return {self.inbox, *(event["payload"].get("userId", "") for event in unpack_events(self.body))}

    @property
    def event_ids(self) -> list[str]:
        """The ids of its events, as in the logs."""
        if self.kind == "change":
            return [_presence_event(self.body).event_id]
        return [str(event["eventId"]) for event in unpack_events(self.body)]


class DeadLetters:
    """The dead letters of all partitions."""

    def __init__(self, *, valkey: Valkey, partitions: int) -> None:
        self._valkey = valkey
        self._partitions = partitions

    async def add_message(self, partition: int, inbox: str, body: bytes, reason: str) -> None:
        row = json.dumps({"inbox": inbox, "reason": reason, "body": body.decode()}).encode()
        await self._valkey.append([(keys.dead_letters(partition), row)])
        metrics.DEAD.inc()

    async def add_change(self, partition: int, event: PresenceEvent, reason: str) -> None:
        body = json.dumps([event.user, event.online, event.at, event.shard, event.reason])
        row = {"inbox": event.user, "reason": reason, "body": body, "kind": "change"}
        await self._valkey.append([(keys.dead_letters(partition), json.dumps(row).encode())])
        metrics.DEAD.inc()

    async def all(self, limit: int = 1000) -> list[DeadLetter]:
        """At most `limit`, the oldest of each partition first."""
        found: list[DeadLetter] = []
        for partition in range(self._partitions):
            async for rows in self._pages(partition):
                found += [_decode(row) for row in rows]
                if len(found) >= limit:
                    return found[:limit]
        return found

    async def count(self) -> int:
        return sum(
            await self._valkey.lengths([keys.dead_letters(number) for number in range(self._partitions)])
        )

    async def redrive(self) -> int:
        """Append all that exist now to the streams they came from, then delete them; return how many."""
        count = 0
        for partition in range(self._partitions):
            async for rows in self._pages(partition):
                # Append before delete: a crash in between repeats messages and loses none.
                await self._requeue(partition, [_decode(row) for row in rows])
                await self._valkey.delete({keys.dead_letters(partition): [entry for entry, _ in rows]})
                count += len(rows)
        return count

    async def erase(self, user: str) -> int:
        """Delete all that name a user; return how many."""
        count = 0
        for partition in range(self._partitions):
            async for rows in self._pages(partition):
                entries = [one.entry for one in map(_decode, rows) if user in one.about]
                await self._valkey.delete({keys.dead_letters(partition): entries})
                count += len(entries)
        return count

    async def _pages(self, partition: int) -> AsyncIterator[list[Entry]]:
        """The entries of a stream by pages; a page that is not full is the last one."""
        key, position = keys.dead_letters(partition), FIRST
        while rows := (await self._valkey.read({key: position}, count=PAGE_ENTRIES)).get(key):
            position = rows[-1][0]
            yield rows
            # A redriven message can be rejected again and appended here: up to an empty page there may be no end.
            if len(rows) < PAGE_ENTRIES:
                return

    async def _requeue(self, partition: int, dead_letters: Sequence[DeadLetter]) -> None:
        notifications = [
            one for dead in dead_letters if dead.kind == "message" for one in _notifications(dead)
        ]
        events = [_presence_event(dead.body) for dead in dead_letters if dead.kind == "change"]
        entries = [(keys.inbox(partition), encode(notifications))] if notifications else []
        if events:
            entries.append((keys.presence_log(partition), presence_log.encode(events)))
        await self._valkey.append(entries)


def _decode(row: Entry) -> DeadLetter:
    return DeadLetter(entry=row[0], **json.loads(row[1]))


def _presence_event(body: str) -> PresenceEvent:
    return PresenceEvent(*json.loads(body))


def _notifications(dead: DeadLetter) -> list[Notification | SyncNotification]:
    """The events of a message as they are; a pending resync for a sync, which is out of date by now."""
    events = unpack_events(dead.body)
    if events[0]["type"] == "friends.sync":
        return [SyncNotification(dead.inbox, reason="lost")]
    return [Notification(_event(event), [dead.inbox]) for event in events]


def _event(event: dict[str, Any]) -> Event:
    payload = event["payload"]
    kind = str(event["type"]).removeprefix("friend.")
    body = json.dumps(event, separators=(",", ":")).encode()
    return Event(payload["userId"], kind, payload.get("at", 0), parse_microseconds(event["ts"]), body)
