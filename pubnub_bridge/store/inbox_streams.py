"""The inbox streams (row 8 of the walk): what is to be told, by recipient partition. Knows streams, not HTTP.

The streams are Valkey's (`ValkeyQueue`), or another queue that keeps a partition's entries in their order (`NotificationQueue`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from graph_service import tracing
from graph_service.concurrency.batch_loader import BatchLoader
from graph_service.valkey.client import Valkey
from pubnub_bridge.model.notification import Notification, NotificationBatch, SyncNotification, encode
from pubnub_bridge.store import keys


class NotificationQueue(Protocol):
    """Where notices wait between settling and publishing, in order within a partition."""

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Accept entries by partition. Raises QueueUnavailable; then the caller appends them again."""

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Forget entries by partition and id."""


class ValkeyQueue:
    """Valkey's streams: one transaction appends all, so either all are accepted or none (on a Cluster: a partition's)."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """See `NotificationQueue`."""
        await self._valkey.append([(keys.inbox(number), body) for number, body in entries])

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """See `NotificationQueue`."""
        await self._valkey.delete({keys.inbox(number): ids for number, ids in entries.items() if ids})


class InboxStreams:
    """Appends to, and deletes from, the inbox streams."""

    def __init__(
        self, valkey: Valkey, partition: Callable[[str], int], queue: NotificationQueue | None = None
    ) -> None:
        self._queue = queue or ValkeyQueue(valkey)
        self._partition = partition
        self._asking = BatchLoader(read=self._asked, min_interval_seconds=0.0)

    def notifications(self) -> NotificationBatch:
        """An empty set of notices to be filled and appended."""
        return NotificationBatch(self._partition)

    async def append(self, notifications: NotificationBatch) -> None:
        """Accept notices, one entry a partition. Raises QueueUnavailable, and then none is accepted."""
        if bodies := notifications.bodies():
            with tracing.span("append notices", partitions=len(bodies), recipients=notifications.recipients):
                await self._queue.append(list(bodies.items()))

    async def request_sync(self, users: Iterable[str], reason: str) -> None:
        """Promise a friends.sync to each of these users; it is read when it is sent."""
        notifications = self.notifications()
        for user in users:
            notifications.sync(SyncNotification(user, reason=reason))
        await self.append(notifications)

    async def ask(self, user: str) -> None:
        """Promise a friends.sync that its user asked for; what is asked for at one moment is appended together.

        Raises QueueUnavailable, and then nothing is promised.
        """
        await self._asking.load(user)

    async def _asked(self, users: list[str]) -> dict[str, None]:
        await self.request_sync(users, "asked")
        return dict.fromkeys(users)

    async def requeue(self, partition: int, notices: Sequence[Notification | SyncNotification]) -> None:
        """Append what could not be published again, at the end."""
        await self._queue.append([(partition, encode(notices))])

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Forget entries by partition: all they said is published or appended again."""
        await self._queue.delete(entries)
