"""Consumer: reads the streams of the owned partitions, and dispatches entries to debouncers and outboxes.

Invariants: an inbox stream is not read while nothing can be published or too much is pending in memory, the presence
log always is; a join that asks for a sync is remembered until the inbox stream has accepted it, since its entry is
not read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from graph_service.valkey.client import Entry, Valkey
from graph_service.valkey.failures import retry_queue
from pubnub_bridge import metrics
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceResult
from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.partitions.conflicts import ConflictResolver
from pubnub_bridge.partitions.registry import PartitionRegistry
from pubnub_bridge.partitions.storm_controller import StormController
from pubnub_bridge.store import keys, presence_log
from pubnub_bridge.store.inbox_streams import InboxStreams

BLOCK_MILLISECONDS = 200
"""How long one read waits; the streams of a new partition are read no later."""
LINGER_SECONDS = 0.02
"""Between two reads, so that what comes in between is read together."""
IDLE_SECONDS = 0.05
"""Between two looks while there is nothing to read from."""
MAX_ENTRIES = 500
"""Entries of one stream and read."""
MAX_PENDING_INBOXES = 50_000
"""Inboxes with a pending batch in memory; the rest stays in the streams."""


class Consumer:
    """Reads from the position after the last entry of each stream."""

    def __init__(
        self,
        *,
        registry: PartitionRegistry,
        valkey: Valkey,
        inbox: InboxStreams,
        conflicts: ConflictResolver,
        storms: StormController,
        windows: BatchWindowController,
        publishing_stopped: Callable[[], bool],
        on_flaps: Callable[[Sequence[str]], None],
        now: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._valkey = valkey
        self._inbox = inbox
        self._conflicts = conflicts
        self._storms = storms
        self._windows = windows
        self._publishing_stopped = publishing_stopped
        self._on_flaps = on_flaps
        self._now = now
        self._positions: dict[str, str] = {}
        self._joined: dict[str, None] = {}
        """Users whose sync is not requested yet: the queue may be away when they join."""
        self.stopping = False
        """Nothing more is read."""

    def begin(self, positions: Mapping[str, str]) -> None:
        """Read these streams, each after this entry."""
        self._positions |= positions

    def end(self, partition: int) -> None:
        """Read a partition's streams no longer."""
        for key in (keys.presence_log(partition), keys.inbox(partition)):
            self._positions.pop(key, None)

    def caught_up(self, partition: int) -> None:
        """What PubNub reported since the last owner's poll is in the log, and is read within moments."""
        if debouncer := self._registry.debouncers.get(partition):
            debouncer.begin_at(min(debouncer.begins_at, self._now() + BLOCK_MILLISECONDS))
            self._registry.commit_wakeup.set()

    async def run(self) -> None:
        """Read without end."""
        while True:
            await retry_queue(self.step, event="consume.read")

    async def step(self) -> None:
        """One read, dispatched. Raises QueueUnavailable."""
        paused = self._publishing_stopped()
        wanted = self._positions
        if paused or self._registry.pending_inboxes > MAX_PENDING_INBOXES:
            wanted = {key: entry for key, entry in wanted.items() if key.endswith(":seen")}
        if self.stopping or not wanted:
            await asyncio.sleep(IDLE_SECONDS)
            return
        await self._request_syncs()
        self._windows.update(paused=paused, min_seconds=self._storms.batch_window_seconds)
        self._storms.check()
        found = await self._valkey.read(wanted, count=MAX_ENTRIES, block=BLOCK_MILLISECONDS)
        for key, entries in found.items():
            # The partition may have been revoked during the read.
            if key in self._positions:
                self._positions[key] = entries[-1][0]
                await self._dispatch(key, entries)
        await asyncio.sleep(LINGER_SECONDS)

    def debounce(
        self, debouncer: Debouncer, entry: str, body: bytes, *, redelivered: bool = False
    ) -> DebounceResult:
        """Give one entry of the presence log to a debouncer, and report what it led to."""
        result = debouncer.add(presence_log.decode(body), entry, redelivered=redelivered)
        self._storms.observe(result.transitions)
        metrics.FLAPS.inc(result.flaps)
        metrics.REPEATS.inc(result.repeats)
        self._on_flaps(result.flapped)
        for conflict in result.conflicts:
            self._conflicts.begin(debouncer, conflict.user, entry)
        return result

    async def _dispatch(self, key: str, entries: Sequence[Entry]) -> None:
        partition = keys.partition_of(key)
        if key == keys.inbox(partition):
            self._registry.outboxes[partition].add(entries, time.monotonic(), self._windows.seconds)
            self._registry.publish_wakeup.set()
            return
        for entry, body in entries:
            result = self.debounce(self._registry.debouncers[partition], entry, body)
            self._joined.update(dict.fromkeys(result.joined))
        self._storms.check()
        self._registry.commit_wakeup.set()
        await self._request_syncs()

    async def _request_syncs(self) -> None:
        if self._joined:
            await self._inbox.request_sync(self._joined, "join")
            self._joined.clear()
