"""Who looked at whom: every look at people by an operator, in a capped stream and in the log. Knows streams.

The entry is written before anything is read: where it cannot be written, nothing is shown.
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
"""Entries of the stream, at least; the log has all."""
REPEAT_SECONDS = 600.0
"""Seconds in which a picture that refreshes itself is the same look."""
_log = structlog.get_logger("pubnub_bridge.audit")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One look."""

    what: str
    """why, ego, dead or redrive."""
    about: str
    """Whom: ids, separated by spaces."""
    by: str
    """How the operator called themselves; the key says only that it is an operator."""
    address: str
    """Where the call came from."""


class Audit:
    """Keeps looks, and shows the last ones."""

    def __init__(self, valkey: Valkey, clock: Callable[[], float] = time.monotonic) -> None:
        self._valkey = valkey
        self._clock = clock
        self._seen: dict[AuditEntry, float] = {}

    async def keep(self, look: AuditEntry) -> None:
        """Keep one. Raises QueueUnavailable, and then nothing may be shown."""
        row = json.dumps(asdict(look)).encode()
        await self._valkey.append_capped(keys.AUDIT, row, MAX_ENTRIES)
        _log.info("operator looked", **asdict(look))

    async def keep_once(self, look: AuditEntry) -> None:
        """Keep one, unless this process kept the same within `AGAIN`."""
        now = self._clock()
        self._seen = {one: at for one, at in self._seen.items() if now - at < REPEAT_SECONDS}
        if look not in self._seen:
            await self.keep(look)
            self._seen[look] = now

    async def last(self, count: int) -> list[tuple[int, AuditEntry]]:
        """The newest, with the milliseconds since the epoch when each was kept."""
        rows = await self._valkey.newest(keys.AUDIT, count)
        return [(int(entry.partition("-")[0]), AuditEntry(**json.loads(row))) for entry, row in rows]
