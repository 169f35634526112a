"""Audit log: every time an operator looks at a user, in a capped stream of Valkey and in the structured log.

Invariant: the entry is written before anything is read, so where it cannot be written nothing is shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog

from graph_service.valkey.client import Valkey
from pubnub_bridge.store import keys

MAX_ENTRIES = 10_000
"""Of the stream, about; the structured log has all."""
REPEAT_SECONDS = 600.0
"""For this long a picture that refreshes itself counts as one entry."""
_log = structlog.get_logger("pubnub_bridge.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One look of an operator."""

    what: str
    """why, ego, dead or redrive."""
    about: str
    """User ids, separated by spaces."""
    by: str
    """How the operator called themselves; the key says only that it is an operator."""
    address: str
    """The caller's."""


class Audit:
    """Writes entries, and reads the last ones."""

    def __init__(self, *, valkey: Valkey, clock: Callable[[], float] = time.monotonic) -> None:
        self._valkey = valkey
        self._clock = clock
        self._written_at: dict[AuditEntry, float] = {}

    async def write(self, entry: AuditEntry) -> None:
        """Write one. Raises QueueUnavailable, and then nothing may be shown."""
        row = json.dumps(asdict(entry)).encode()
        await self._valkey.append_capped(keys.AUDIT, row, MAX_ENTRIES)
        _log.info("console.user.viewed", **asdict(entry))

    async def write_once(self, entry: AuditEntry) -> None:
        """Write one, unless this process wrote the same within `REPEAT_SECONDS`."""
        now = self._clock()
        self._written_at = {one: at for one, at in self._written_at.items() if now - at < REPEAT_SECONDS}
        if entry not in self._written_at:
            await self.write(entry)
            self._written_at[entry] = now

    async def last(self, count: int) -> list[tuple[int, AuditEntry]]:
        """The newest, each with the time it was written, in milliseconds since the epoch."""
        rows = await self._valkey.newest(keys.AUDIT, count)
        return [(int(entry.partition("-")[0]), AuditEntry(**json.loads(row))) for entry, row in rows]
