"""Partition registry: the debouncer and the outbox of every owned partition, and what wakes those that work on them.

`Assignment` fills it, the consumer feeds it, committer and publisher empty it; none of them knows another.
"""

from __future__ import annotations

import asyncio

from graph_service.model.sharding import ShardMap
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.fanout.publisher import PartitionOutbox
from pubnub_bridge.store.health import Ages, entry_age


class PartitionRegistry:
    """The partitions that this process owns."""

    def __init__(self, *, shards: ShardMap) -> None:
        self._shards = shards
        self.debouncers: dict[int, Debouncer] = {}
        self.outboxes: dict[int, PartitionOutbox] = {}
        self.commit_wakeup = asyncio.Event()
        """Set when a debouncer has something new for the committer."""
        self.publish_wakeup = asyncio.Event()
        """Set when an outbox has something new for the publisher."""

    def add(self, partition: int, debouncer: Debouncer, outbox: PartitionOutbox) -> None:
        """Have the committer and the publisher work on a partition."""
        self.debouncers[partition] = debouncer
        self.outboxes[partition] = outbox
        self.commit_wakeup.set()

    def remove(self, partition: int) -> None:
        """Forget a partition; what is not done stays in its streams."""
        self.debouncers.pop(partition, None)
        self.outboxes.pop(partition, None)

    @property
    def pending_inboxes(self) -> int:
        """How many inboxes have a pending batch in memory."""
        return sum(len(outbox.batcher) for outbox in self.outboxes.values())

    def observed(self, user: str) -> bool | None:
        """What PubNub reported of a user and is not committed yet; None for nothing, or where another owns them."""
        debouncer = self.debouncers.get(self._shards.partition(user))
        return None if debouncer is None else debouncer.observed(user)

    def ages(self, *, now: int, storm: str | None) -> dict[int, Ages]:
        """How late the oldest change and the oldest notification of each partition are; `now` in milliseconds."""
        found = {}
        for partition, debouncer in self.debouncers.items():
            due = debouncer.oldest_due
            late = max(0.0, (now - due) / 1000) if due else 0.0
            found[partition] = Ages(
                debounce_lag_seconds=late,
                publish_lag_seconds=entry_age(self.outboxes[partition].oldest),
                storm=storm,
            )
        return found
