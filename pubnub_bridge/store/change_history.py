"""Change history: the last committed changes of a user, so that support can ask why one user sees another as offline.

Stored for CHANGE_HISTORY_HOURS. One record for each change, never one for each recipient; only failed recipients
have rows of their own.
"""

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
"""Failed recipients that are stored for one user's changes; a count that reaches it means "at least"."""
DEFAULT_TTL_SECONDS = 24 * 3600


@dataclass(slots=True, kw_only=True)
class ChangeRecord:
    """One committed change. The fields are the keys of the stored JSON."""

    user: str
    event_id: str
    online: bool
    at: int
    """Milliseconds, as reported by PubNub."""
    reason: str
    held_until: int
    """The debounce deadline, milliseconds by PubNub's clock."""
    settled_at: int
    """The commit, milliseconds by PubNub's clock."""
    outcome: str
    """`told` (friends were notified), `silent` (a flap or a repeat) or `older` (the graph had a newer state)."""
    recipients: int = 0
    failed: int = 0
    """Recipients whose message PubNub rejected, or that got a sync instead after too many attempts; at most 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRecipient:
    """One recipient who did not get the message of one change of `user`."""

    user: str
    event_id: str
    inbox: str
    reason: str


class ChangeHistory:
    """Stores and finds the records of a user. With a TTL of 0 nothing is stored."""

    def __init__(
        self, *, valkey: Valkey, partition: Callable[[str], int], ttl_seconds: int = DEFAULT_TTL_SECONDS
    ) -> None:
        self._valkey = valkey
        self._ttl_seconds = ttl_seconds
        self._partition = partition

    async def add(self, records: Sequence[ChangeRecord]) -> None:
        """Insert each record at the front of its user's list."""
        rows = [(self._key(one.user), to_json(one)) for one in records]
        if rows and self._ttl_seconds:
            await self._valkey.remember(rows, MAX_CHANGES, self._ttl_seconds)

    async def changes_of(self, user: str) -> list[ChangeRecord]:
        """The last changes of a user, newest first, each with its number of failed recipients."""
        records = [ChangeRecord(**json.loads(row)) for row in await self._valkey.remembered(self._key(user))]
        failed = Counter(event_id for event_id, _, _ in await self.failed_recipients(user))
        for record in records:
            record.failed = failed[record.event_id]
        return records

    async def add_failed(self, recipients: Sequence[FailedRecipient]) -> None:
        """Store that changes did not reach these recipients; only the newest of each user remain."""
        rows = [
            (self._failed_key(one.user), json.dumps([one.event_id, one.inbox, one.reason]).encode())
            for one in recipients
        ]
        if rows and self._ttl_seconds:
            await self._valkey.remember(rows, MAX_FAILED, self._ttl_seconds)

    async def failed_recipients(self, user: str) -> list[tuple[str, str, str]]:
        """Event id, recipient and reason of the stored failures, newest first, each recipient of an event once."""
        rows = [tuple(json.loads(row)) for row in await self._valkey.remembered(self._failed_key(user))]
        return list({(row[0], row[1]): row for row in rows}.values())

    async def erase(self, user: str) -> None:
        """Delete everything that is stored of a user."""
        await self._valkey.forget([self._key(user), self._failed_key(user)])

    def _key(self, user: str) -> str:
        return keys.change_history(self._partition(user), user)

    def _failed_key(self, user: str) -> str:
        return keys.failed_recipients(self._partition(user), user)
