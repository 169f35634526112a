"""A cache in Valkey: values that may be lost at any time. Without Valkey nothing is cached, and no call fails."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from graph_service.errors import QueueUnavailable
from graph_service.valkey.client import Valkey

log = structlog.get_logger(__name__)


class Cache:
    """Never raises: while Valkey is away every lookup is a miss."""

    def __init__(self, *, valkey: Valkey) -> None:
        self._valkey = valkey

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none (or Valkey is away)."""
        try:
            return await self._valkey.get(key)
        except QueueUnavailable:
            return None

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Store a value for `seconds`."""
        try:
            await self._valkey.put(key, value, seconds)
        except QueueUnavailable as problem:
            log.warning("cache.put.failed", reason=str(problem))

    async def drop(self, keys: Sequence[str]) -> None:
        """Delete values. While Valkey is away they stay until they expire; what they contain is checked at every use."""
        try:
            await self._valkey.forget(keys)
        except QueueUnavailable as problem:
            log.warning("cache.drop.failed", reason=str(problem))
