"""The partitions this process owns: their holds, their letters, their places in the streams.

Knows streams and the pure objects they feed; knows no lease. An owner reads from the first entry: what stands in
the seen stream at that moment may have been acted on by an earlier owner, and is settled and told again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from graph_service.shard import ShardMap
from graph_service.valkey import FIRST, Entry, Valkey
from pubnub_bridge import keys, log
from pubnub_bridge.coalesce import Pace
from pubnub_bridge.hold import Hold, HoldTimes
from pubnub_bridge.inbox import Inbox
from pubnub_bridge.publish import Outbound, Publish
from pubnub_bridge.settle import Settle

BLOCK = 200
"""Milliseconds that one read waits; a new partition is listened to no later."""
LINGER = 0.005
"""Seconds between two reads: what comes meanwhile is read together."""
_log = structlog.get_logger(__name__)


class OnlineRead(Protocol):
    """The part of `graph_service.flags.Flags` that a take-over needs."""

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        """Who is flagged online, with the time of the flag."""


class Partitions:
    """Reads the streams of the owned partitions into holds and letters."""

    def __init__(self, valkey: Valkey, shards: ShardMap, flags: OnlineRead, inbox: Inbox) -> None:
        self._valkey = valkey
        self._shards = shards
        self._flags = flags
        self._inbox = inbox
        self._positions: dict[str, str] = {}
        self.holds: dict[int, Hold] = {}
        self.outbounds: dict[int, Outbound] = {}
        self.times = HoldTimes()
        self.pace = Pace()
        self.settle: Settle | None = None
        self.publish: Publish | None = None

    async def take_over(self, partition: int) -> None:
        """Begin to own a partition: flags, then all that stands in its seen stream, then what comes."""
        hold = Hold(self.times)
        hold.load(await self._flags.online_in_shards(list(self._shards.shards_of(partition))))
        key, place = keys.seen(partition), FIRST
        while entries := (await self._valkey.read({key: place})).get(key):
            for entry, body in entries:
                hold.see(log.decode(body), entry, again=True)
            place = entries[-1][0]
        self.holds[partition] = hold
        self.outbounds[partition] = Outbound(partition, self.pace)
        self._positions |= {key: place, keys.inbox(partition): FIRST}
        if self.settle:
            self.settle.woken.set()

    def let_go(self, partition: int) -> None:
        """Stop owning a partition; what is not done stays in its streams."""
        self.holds.pop(partition, None)
        self.outbounds.pop(partition, None)
        for key in (keys.seen(partition), keys.inbox(partition)):
            self._positions.pop(key, None)

    async def run(self) -> None:
        """Read for ever."""
        while True:
            if not self._positions:
                await asyncio.sleep(0.05)
                continue
            found = await self._valkey.read(self._positions, count=500, block=BLOCK)
            for key, entries in found.items():
                if key in self._positions:
                    self._positions[key] = entries[-1][0]
                    await self._take(key, entries)
            await asyncio.sleep(LINGER)

    async def _take(self, key: str, entries: Sequence[Entry]) -> None:
        partition = keys.partition_of(key)
        if key == keys.inbox(partition):
            self._letters(partition, entries)
        else:
            await self._events(partition, entries)

    async def _events(self, partition: int, entries: Sequence[Entry]) -> None:
        hold = self.holds[partition]
        arrived: list[str] = []
        for entry, body in entries:
            arrived += hold.see(log.decode(body), entry).arrived
        if self.settle:
            self.settle.woken.set()
        if arrived:
            await self._inbox.owe(arrived, "join")

    def _letters(self, partition: int, entries: Sequence[Entry]) -> None:
        publish = self.publish
        busy = sum(len(outbound.coalesce) for outbound in self.outbounds.values())
        window = self.pace.window(busy, publish.rate if publish else 1.0)
        self.outbounds[partition].add(entries, time.monotonic(), window)
        if publish:
            publish.woken.set()
