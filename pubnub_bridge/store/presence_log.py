"""The log of what was seen (row 3 of the walk): what stands here is accepted and will be settled.

Knows streams and keys; decides nothing. The subscribe cursor is inside the entry and beside the stream, set in the
same transaction, so that an event is never skipped and the cursor outlives the last entry.
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
    """Where a subscribe loop goes on: PubNub's timetoken and region."""

    timetoken: str = "0"
    region: int = 0


def encode(seen: Sequence[PresenceEvent], cursor: Cursor | None = None) -> bytes:
    """One entry of the stream."""
    place = None if cursor is None else [cursor.timetoken, cursor.region]
    rows = [[one.user, one.online, one.at, one.shard, one.reason] for one in seen]
    return json.dumps([place, rows], separators=(",", ":")).encode()


def decode(entry: bytes) -> list[PresenceEvent]:
    """What an entry says was seen."""
    return [PresenceEvent(*row) for row in from_json(entry)[1]]


class PresenceLog:
    """Appends to, and deletes from, the seen streams."""

    def __init__(self, valkey: Valkey, partition: Callable[[str], int]) -> None:
        self._valkey = valkey
        self._partition = partition

    async def append(self, seen: Sequence[PresenceEvent]) -> None:
        """Accept events from anywhere. Raises QueueUnavailable, and then none is accepted."""
        spread: dict[int, list[PresenceEvent]] = {}
        for one in seen:
            spread.setdefault(self._partition(one.user), []).append(one)
        with tracing.span("accept", events=len(seen)):
            await self._valkey.append(
                [(keys.presence_log(number), encode(some)) for number, some in spread.items()]
            )
        event_trace.accepted(seen)

    async def append_with_cursor(self, partition: int, seen: Sequence[PresenceEvent], cursor: Cursor) -> None:
        """Accept what one poll of this partition's shards brought, with the cursor after it."""
        entries = [(keys.presence_log(partition), encode(seen, cursor))] if seen else []
        place = json.dumps([cursor.timetoken, cursor.region]).encode()
        with tracing.span("accept", events=len(seen)):
            await self._valkey.append(entries, {keys.cursor(partition): place})
        event_trace.accepted(seen)

    async def cursor(self, partition: int) -> Cursor:
        """Where to go on; the beginning where nothing is known."""
        place = await self._valkey.get(keys.cursor(partition))
        return Cursor() if place is None else Cursor(*json.loads(place))

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Forget entries by partition: all they said is in the graph."""
        await self._valkey.delete({keys.presence_log(number): ids for number, ids in entries.items() if ids})
