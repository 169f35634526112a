"""Leases: which partitions this process owns now. Knows keys and times; what owning means is the caller's.

A lease is an optimisation: two owners at once repeat work and do no harm, so nothing is fenced. It is renewed at a
third of its time; an owner that should not own any more just stops, and one that wakes up late finds its lease gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import structlog

from graph_service.errors import FriendsError, QueueUnavailable
from graph_service.valkey.client import Valkey
from pubnub_bridge.store import keys

LEASE_MILLISECONDS = 9000
"""Milliseconds; a killed bridge's partitions are taken over within them."""
_log = structlog.get_logger(__name__)


def bridge_name() -> str:
    """A name no other process has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class PartitionOwner(Protocol):
    """What is done with a partition."""

    async def assigned(self, partition: int) -> None:
        """Begin."""

    def revoked(self, partition: int) -> None:
        """Stop; what is not done stays in the streams."""


class Leases:
    """The partitions of one process among all that are alive."""

    def __init__(
        self,
        *,
        valkey: Valkey,
        name: str,
        partitions: int,
        owner: PartitionOwner,
        lease_milliseconds: int = LEASE_MILLISECONDS,
    ) -> None:
        self._valkey = valkey
        self._partitions = partitions
        self._owner = owner
        self._lease_milliseconds = lease_milliseconds
        self.name = name
        self.owned: set[int] = set()
        self.leads = False
        """Whether this process runs the jobs that only one may run."""

    async def run(self) -> None:
        """Keep the leases for ever; while an engine is away everything stays as it is."""
        while True:
            try:
                await self.step()
            except FriendsError as error:
                if not error.temporary:
                    raise
                _log.warning("leases wait", reason=str(error))
            await asyncio.sleep(self._lease_milliseconds / 3000)

    async def step(self) -> None:
        """One round: say that we live, renew, take, let go."""
        live = await self._valkey.alive(keys.BRIDGES, self.name, self._lease_milliseconds)
        self.leads = await self._valkey.lease(keys.LEADER, self.name, self._lease_milliseconds)
        for partition in range(self._partitions):
            mine = owner_of(partition, live) == self.name
            if partition in self.owned and not mine:
                await self._stop(partition, "another should own it")
                await self._valkey.release(keys.owner(partition), self.name)
            elif mine and await self._valkey.lease(
                keys.owner(partition), self.name, self._lease_milliseconds
            ):
                if partition not in self.owned:
                    await self._start(partition)
            elif partition in self.owned:
                await self._stop(partition, "the lease was lost")

    async def close(self) -> None:
        """Give everything back, so that others need not wait for the leases to end."""
        await self._quietly(lambda: self._valkey.leave(keys.BRIDGES, self.name))
        for partition in sorted(self.owned):
            await self._stop(partition, "stopping")
            await self._quietly(lambda p=partition: self._valkey.release(keys.owner(p), self.name))  # type: ignore[misc]
        await self._quietly(lambda: self._valkey.release(keys.LEADER, self.name))

    async def _start(self, partition: int) -> None:
        await self._owner.assigned(partition)
        self.owned.add(partition)
        _log.info("partition owned", partition=partition)

    async def _stop(self, partition: int, reason: str) -> None:
        self.owned.discard(partition)
        self._owner.revoked(partition)
        _log.info("partition given up", partition=partition, reason=reason)

    @staticmethod
    async def _quietly(call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except QueueUnavailable as error:
            _log.warning("not given back; the lease ends by itself", reason=str(error))


def owner_of(partition: int, bridges: Collection[str]) -> str | None:
    """The bridge that should own a partition; a bridge that comes or goes moves only its own share."""
    return max(bridges, key=lambda name: _weight(partition, name), default=None)


def _weight(partition: int, name: str) -> bytes:
    return hashlib.blake2b(f"{partition}/{name}".encode(), digest_size=8).digest()
