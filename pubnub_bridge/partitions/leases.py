"""Leases: which partitions this process owns now, by keys with an expiry; what owning means is up to the owner.

A lease is an optimisation: two owners at once repeat work and never produce a wrong state, so nothing is fenced. It is
renewed three times within its duration; a process that pauses for longer finds its leases lost, and just stops.
Rendezvous hashing decides who should own a partition, so a bridge that comes or goes moves only its own share.
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
"""A killed bridge's partitions are taken over within them."""
RENEWALS = 3
"""Renewals within the duration of a lease."""
_log = structlog.get_logger(__name__)


def bridge_name() -> str:
    """A name that no other process has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class PartitionOwner(Protocol):
    """What takes partitions over, and gives them up."""

    async def assigned(self, partition: int) -> None:
        """Begin to own a partition."""

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
        """Whether this process is the leader, which runs the jobs that must run once."""

    async def run(self) -> None:
        """Renew without end; while a backend is away, everything stays as it is."""
        while True:
            try:
                await self.step()
            except FriendsError as error:
                if not error.temporary:
                    raise
                _log.warning("leases.renew.failed", reason=str(error))
            await asyncio.sleep(self._lease_milliseconds / 1000 / RENEWALS)

    async def step(self) -> None:
        """One round: announce this process, then renew, take and give up leases."""
        live = await self._valkey.alive(keys.BRIDGES, self.name, self._lease_milliseconds)
        self.leads = await self._valkey.lease(keys.LEADER, self.name, self._lease_milliseconds)
        for partition in range(self._partitions):
            mine = owner_of(partition, live) == self.name
            if partition in self.owned and not mine:
                self._revoke(partition, "another should own it")
                await self._valkey.release(keys.owner(partition), self.name)
            elif mine and await self._valkey.lease(
                keys.owner(partition), self.name, self._lease_milliseconds
            ):
                if partition not in self.owned:
                    await self._assign(partition)
            elif partition in self.owned:
                self._revoke(partition, "the lease was lost")

    async def close(self) -> None:
        """Give everything back, so that others need not wait for the leases to expire."""
        await self._tried(lambda: self._valkey.leave(keys.BRIDGES, self.name))
        for partition in sorted(self.owned):
            self._revoke(partition, "stopping")
            await self._tried(lambda p=partition: self._valkey.release(keys.owner(p), self.name))  # type: ignore[misc]
        await self._tried(lambda: self._valkey.release(keys.LEADER, self.name))

    async def _assign(self, partition: int) -> None:
        await self._owner.assigned(partition)
        self.owned.add(partition)
        _log.info("leases.partition.assigned", partition=partition)

    def _revoke(self, partition: int, reason: str) -> None:
        self.owned.discard(partition)
        self._owner.revoked(partition)
        _log.info("leases.partition.revoked", partition=partition, reason=reason)

    @staticmethod
    async def _tried(call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except QueueUnavailable as error:
            # Without it the lease expires, a few seconds later.
            _log.warning("leases.release.failed", reason=str(error))


def owner_of(partition: int, bridges: Collection[str]) -> str | None:
    """The bridge that should own a partition."""
    return max(bridges, key=lambda name: _weight(partition, name), default=None)


def _weight(partition: int, name: str) -> bytes:
    return hashlib.blake2b(f"{partition}/{name}".encode(), digest_size=8).digest()
