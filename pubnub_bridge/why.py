"""Why a viewer sees what they see: the last settled changes of a user, kept for a day. Never one row a recipient."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from graph_service.valkey import Valkey
from pubnub_bridge import keys

KEPT = 5
SECONDS = 24 * 3600


@dataclass(slots=True)
class Record:
    """One settled change."""

    user: str
    event_id: str
    online: bool
    at: int
    """What PubNub said and when, milliseconds."""
    reason: str
    held_until: int
    settled_at: int
    """Both by PubNub's clock, milliseconds."""
    outcome: str
    """told, silent (a flap or repeat), older (the graph knew better) or unknown (no such user)."""
    recipients: int = 0
    failed: int = 0
    """Recipients whose message PubNub refused."""


class Why:
    """Keeps records, and finds them."""

    def __init__(self, valkey: Valkey, partition: Callable[[str], int]) -> None:
        self._valkey = valkey
        self._partition = partition

    async def keep(self, records: Sequence[Record]) -> None:
        """Put records in front of their users' lists."""
        rows = [(self._key(one.user), json.dumps(asdict(one)).encode()) for one in records]
        if rows:
            await self._valkey.remember(rows, KEPT, SECONDS)

    async def of(self, user: str) -> list[Record]:
        """The last changes of a user, newest first."""
        return [Record(**json.loads(row)) for row in await self._valkey.remembered(self._key(user))]

    async def forget(self, user: str) -> None:
        """Erase what is kept of a user."""
        await self._valkey.forget([self._key(user)])

    def _key(self, user: str) -> str:
        return keys.why(self._partition(user), user)
