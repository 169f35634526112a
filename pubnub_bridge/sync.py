"""friends.sync: who of a user's friends is online. Knows flags and the inbox streams.

A sync is read when it is sent, unless the settling of the same user has read it already. All requests, whoever
makes them, go through the user's inbox stream, so its owner keeps them to one a user and second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from graph_service.errors import FriendsError
from graph_service.model import Told
from pubnub_bridge.high_water import HighWater
from pubnub_bridge.notice import SyncNotice, sync_of


class TellRead(Protocol):
    """The part of `graph_service.flags.Flags` that a sync needs."""

    async def tell(self, ids: Sequence[str]) -> list[Told]:
        """Own state, online friends and clock of each user."""


class Syncs:
    """Reads syncs that are owed, many at a time."""

    def __init__(self, flags: TellRead, water: HighWater) -> None:
        self._flags = flags
        self._water = water
        self._wanted: dict[str, asyncio.Future[SyncNotice | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self.took: Callable[[float], None] = lambda _seconds: None
        """Told how long each read took."""

    async def read(self, user: str) -> SyncNotice | None:
        """The friends.sync of a user, None for an unknown one. Those asked for at one moment are read together."""
        future = self._wanted.get(user)
        if future is None:
            future = self._wanted[user] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="read syncs")
        return await asyncio.shield(future)

    async def _read(self) -> None:
        await asyncio.sleep(GATHER)
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            began = time.monotonic()
            try:
                told = await self._water.read(lambda users=list(wanted): self._flags.tell(users))  # type: ignore[misc]
            except FriendsError as error:
                for future in wanted.values():
                    future.set_exception(error)
                continue
            self.took(time.monotonic() - began)
            found = {one.user: sync_of(one) for one in told}
            for user, future in wanted.items():
                future.set_result(found.get(user))


GATHER = 0.005
"""Seconds in which requests gather to be one read."""
