"""Sync loader: reads friends.sync, who of a user's friends is online, when a pending resync is sent.

A commit of the same user may have read it already. All requests for a sync go through the user's inbox stream, so its
owner limits them to one a user and second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
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
    """Reads many syncs with one query. Raises GraphUnavailable, QueueUnavailable and ClockBehind."""

    def __init__(
        self, *, flags: SnapshotReader, watermark: Watermark, on_read_seconds: Callable[[float], None]
    ) -> None:
        self._flags = flags
        self._watermark = watermark
        self._on_read_seconds = on_read_seconds
        self._loader = BatchLoader(read=self._read)

    async def read(self, user: str) -> SyncNotification | None:
        """The friends.sync of a user, None for an unknown one, from a read that begins after this call."""
        return await self._loader.load(user)

    async def _read(self, users: list[str]) -> dict[str, SyncNotification]:
        began = time.monotonic()
        snapshots = await self._watermark.read(partial(self._flags.read_snapshots, users))
        self._on_read_seconds(time.monotonic() - began)
        return {one.user: sync_of(one) for one in snapshots}
