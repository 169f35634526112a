"""Presence log: a write-ahead log of accepted presence events, one stream a partition; what is in it will be committed.

The subscribe cursor is stored in the transaction that appends the events before it, so no event is skipped; it has a
separate key, so it outlives the last entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from graph_service import tracing
from graph_service.valkey.client import Valkey
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.store import event_trace, keys


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a subscribe loop continues: PubNub's timetoken and region."""

    timetoken: str = "0"
    region: int = 0


def encode(events: Sequence[PresenceEvent], cursor: Cursor | None = None) -> bytes:
    """One entry: the cursor or null, and a row for each event."""
    position = None if cursor is None else [cursor.timetoken, cursor.region]
    rows = [[one.user, one.online, one.at, one.shard, one.reason] for one in events]
    return json.dumps([position, rows], separators=(",", ":")).encode()


def decode(entry: bytes) -> list[PresenceEvent]:
    """The events of an entry."""
    return [PresenceEvent(*row) for row in from_json(entry)[1]]


class PresenceLog:
    """Appends to, and deletes from, the presence log."""

    def __init__(self, *, valkey: Valkey, partition: Callable[[str], int]) -> None:
        self._valkey = valkey
        self._partition = partition

    async def append(self, events: Sequence[PresenceEvent]) -> None:
        """Accept events of any partition. Raises QueueUnavailable, and then none is accepted."""
        by_partition: dict[int, list[PresenceEvent]] = {}
        for one in events:
            by_partition.setdefault(self._partition(one.user), []).append(one)
        with tracing.span("accept", events=len(events)):
            await self._valkey.append(
                [(keys.presence_log(number), encode(some)) for number, some in by_partition.items()]
            )
        event_trace.accepted(events)

    async def append_with_cursor(
        self, partition: int, events: Sequence[PresenceEvent], cursor: Cursor
    ) -> None:
        """Accept the events of one poll of this partition's shards, with the cursor after them."""
        entries = [(keys.presence_log(partition), encode(events, cursor))] if events else []
        position = json.dumps([cursor.timetoken, cursor.region]).encode()
        with tracing.span("accept", events=len(events)):
            # One transaction: a cursor written before its entries would skip them after a crash.
            await self._valkey.append(entries, {keys.cursor(partition): position})
        event_trace.accepted(events)

    async def cursor(self, partition: int) -> Cursor:
        """The stored cursor, or the beginning."""
        position = await self._valkey.get(keys.cursor(partition))
        return Cursor() if position is None else Cursor(*json.loads(position))

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Delete entries by partition: all their events are resolved."""
        await self._valkey.delete({keys.presence_log(number): ids for number, ids in entries.items() if ids})
