"""Answers that may be lost at any time, kept in Valkey. Knows keys and bytes; without Valkey nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from graph_service.errors import QueueUnavailable
from graph_service.valkey.client import Valkey

log = structlog.get_logger(__name__)


class Cache:
    """A cache: every call answers, and an engine that is away only makes answers slower."""

    def __init__(self, *, valkey: Valkey) -> None:
        self._valkey = valkey

    async def get(self, key: str) -> bytes | None:
        """The answer, or None where there is none (or Valkey is away)."""
        try:
            return await self._valkey.get(key)
        except QueueUnavailable:
            return None

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keeps an answer for so long."""
        try:
            await self._valkey.put(key, value, seconds)
        except QueueUnavailable as problem:
            log.warning("answer not kept", reason=str(problem))

    async def drop(self, keys: Sequence[str]) -> None:
        """Forgets answers. Where Valkey is away they end by their time; what they show is checked at every use."""
        try:
            await self._valkey.forget(keys)
        except QueueUnavailable as problem:
            log.warning("kept answers not dropped", reason=str(problem))
