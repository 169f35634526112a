"""friends.sync: who of a user's friends is online. Knows flags and the inbox streams.

A sync is read when it is sent, unless the settling of the same user has read it already. All requests, whoever
makes them, go through the user's inbox stream, so its owner keeps them to one a user and second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from graph_service.model import Told
from pubnub_bridge.notice import SyncNotice, sync_of


class TellRead(Protocol):
    """The part of `graph_service.flags.Flags` that a sync needs."""

    async def tell(self, ids: Sequence[str]) -> list[Told]:
        """Own state, online friends and clock of each user."""


class Syncs:
    """Reads syncs that are owed."""

    def __init__(self, flags: TellRead) -> None:
        self._flags = flags

    async def read(self, users: Sequence[str]) -> list[SyncNotice]:
        """One friends.sync for each known user."""
        return [sync_of(told) for told in await self._flags.tell(users)]
