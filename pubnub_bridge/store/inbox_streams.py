"""Inbox streams: notifications between the commit and the publish, in order within a recipient's partition.

At least once: entries are accepted here before the presence log entries they came from are deleted, and deleted here
only when all they contain is published or appended again. The streams are Valkey's (`ValkeyQueue`) or another
`NotificationQueue`.
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
    """Where notifications wait, in order within a partition."""

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Accept entries by partition. Raises QueueUnavailable; then the caller appends them again."""

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Delete entries by partition and id; an id that is not there is no error."""


class ValkeyQueue:
    """Valkey's streams: one transaction appends all, so either all are accepted or none (on a Cluster: a partition's)."""

    def __init__(self, *, valkey: Valkey) -> None:
        self._valkey = valkey

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        await self._valkey.append([(keys.inbox(number), body) for number, body in entries])

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        await self._valkey.delete({keys.inbox(number): ids for number, ids in entries.items() if ids})


class InboxStreams:
    """Appends to, and deletes from, the inbox streams; `queue` replaces Valkey's."""

    def __init__(
        self, *, valkey: Valkey, partition: Callable[[str], int], queue: NotificationQueue | None = None
    ) -> None:
        self._queue = queue or ValkeyQueue(valkey=valkey)
        self._partition = partition
        self._sync_requests = BatchLoader(self._request_syncs, distance=0.0)

    def notifications(self) -> NotificationBatch:
        """An empty batch, to be filled and appended."""
        return NotificationBatch(partition=self._partition)

    async def append(self, notifications: NotificationBatch) -> None:
        """Accept notifications, one entry a partition. Raises QueueUnavailable, and then none is accepted."""
        if bodies := notifications.bodies():
            with tracing.span(
                "append notifications", partitions=len(bodies), recipients=notifications.recipients
            ):
                await self._queue.append(list(bodies.items()))

    async def request_sync(self, users: Iterable[str], reason: str) -> None:
        """Append a pending resync for each of these users; its content is read when it is published."""
        notifications = self.notifications()
        for user in users:
            notifications.sync(SyncNotification(user, reason=reason))
        await self.append(notifications)

    async def ask(self, user: str) -> None:
        """Append a pending resync that its user requested; requests of one moment are appended together.

        Raises QueueUnavailable, and then nothing is pending.
        """
        await self._sync_requests.ask(user)

    async def _request_syncs(self, users: list[str]) -> dict[str, None]:
        await self.request_sync(users, "asked")
        return dict.fromkeys(users)

    async def requeue(self, partition: int, notifications: Sequence[Notification | SyncNotification]) -> None:
        """Append at the end what could not be published."""
        await self._queue.append([(partition, encode(notifications))])

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Delete entries by partition: all they contain is published or appended again."""
        await self._queue.delete(entries)
