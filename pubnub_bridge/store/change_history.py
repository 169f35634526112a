"""Why a viewer sees what they see: the last settled changes of a user, kept for CHANGE_HISTORY_HOURS. Never one row a recipient."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from graph_service.valkey.client import Valkey
from pubnub_bridge.store import keys

MAX_CHANGES = 5
MAX_FAILED = 100
"""Failed recipients of one user's changes that are kept; of more than these the count is "at least"."""
FAILED_SECONDS = 24 * 3600


@dataclass(slots=True)
class ChangeRecord:
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
    """told, silent (a flap or repeat) or older (the graph knew better)."""
    recipients: int = 0
    failed: int = 0
    """Recipients whose message PubNub refused, or that got a sync instead after too many tries; at most 100."""


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """One recipient who did not get the message of one change."""

    user: str
    """Whose change it was."""
    event_id: str
    inbox: str
    reason: str


class ChangeHistory:
    """Keeps records for so many seconds, and finds them; with 0 nothing is kept."""

    def __init__(
        self, valkey: Valkey, partition: Callable[[str], int], seconds: int = FAILED_SECONDS
    ) -> None:
        self._valkey = valkey
        self._seconds = seconds
        self._partition = partition

    async def add(self, records: Sequence[ChangeRecord]) -> None:
        """Put records in front of their users' lists."""
        rows = [(self._key(one.user), to_json(one)) for one in records]
        if rows and self._seconds:
            await self._valkey.remember(rows, MAX_CHANGES, self._seconds)

    async def changes_of(self, user: str) -> list[ChangeRecord]:
        """The last changes of a user, newest first, each with how many recipients it failed for."""
        records = [ChangeRecord(**json.loads(row)) for row in await self._valkey.remembered(self._key(user))]
        failed = Counter(event_id for event_id, _, _ in await self.failed_recipients(user))
        for record in records:
            record.failed = failed[record.event_id]
        return records

    async def add_failed(self, some: Sequence[FailedRecipient]) -> None:
        """Keep that changes did not reach these recipients; only the newest of each user."""
        rows = [
            (self._failed_key(one.user), json.dumps([one.event_id, one.inbox, one.reason]).encode())
            for one in some
        ]
        if rows and self._seconds:
            await self._valkey.remember(rows, MAX_FAILED, self._seconds)

    async def failed_recipients(self, user: str) -> list[tuple[str, str, str]]:
        """Event id, recipient and reason of those that are kept, newest first, each recipient once."""
        rows = [tuple(json.loads(row)) for row in await self._valkey.remembered(self._failed_key(user))]
        return list({(row[0], row[1]): row for row in rows}.values())

    async def erase(self, user: str) -> None:
        """Erase what is kept of a user."""
        await self._valkey.forget([self._key(user), self._failed_key(user)])

    def _key(self, user: str) -> str:
        return keys.change_history(self._partition(user), user)

    def _failed_key(self, user: str) -> str:
        return keys.failed_recipients(self._partition(user), user)
