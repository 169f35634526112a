"""friends.sync: who of a user's friends is online. Knows flags and the inbox streams.

A sync is read when it is sent, unless the settling of the same user has read it already. All requests, whoever
makes them, go through the user's inbox stream, so its owner keeps them to one a user and second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from graph_service.concurrency.batch_loader import BatchLoader
from graph_service.model.model import PresenceSnapshot
from pubnub_bridge.model.notification import SyncNotification, sync_of
from pubnub_bridge.store.watermark import Watermark


class SnapshotReader(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that a sync needs."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock of each user."""


class SyncLoader:
    """Reads syncs that are owed, many at a time. Raises GraphUnavailable, QueueUnavailable and ClockBehind."""

    def __init__(
        self, *, flags: SnapshotReader, watermark: Watermark, on_read_seconds: Callable[[float], None]
    ) -> None:
        self._flags = flags
        self._watermark = watermark
        self._on_read_seconds = on_read_seconds
        self._loader = BatchLoader(read=self._read)

    async def read(self, user: str) -> SyncNotification | None:
        """The friends.sync of a user, None for an unknown one. Those asked for at one moment are read together."""
        return await self._loader.load(user)

    async def _read(self, users: list[str]) -> dict[str, SyncNotification]:
        began = time.monotonic()
        told = await self._watermark.read(lambda: self._flags.read_snapshots(users))
        self._on_read_seconds(time.monotonic() - began)
        return {one.user: sync_of(one) for one in told}
