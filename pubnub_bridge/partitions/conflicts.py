"""Conflict resolution: of two events with the same time and different states, PubNub's Where Now decides.

Invariant: the log entry of a conflict is not resolved before the look-up's result is in the presence log, so a crash
in between finds the same conflict again.
"""

from __future__ import annotations

import asyncio
from functools import partial

from graph_service.concurrency import cancellation
from graph_service.concurrency.retry import retry_forever
from graph_service.errors import FriendsError
from pubnub_bridge import metrics
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.store.presence_log import PresenceLog


class ConflictResolver:
    """Looks conflicts up, each in a task that retries until it is resolved."""

    def __init__(self, *, lookups: PresenceLookup, log: PresenceLog) -> None:
        self._lookups = lookups
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, debouncer: Debouncer, user: str, entry: str) -> None:
        """Look a user up; the debouncer keeps the log entry until then."""
        metrics.CONFLICTS.inc()
        task = asyncio.create_task(self._resolve(debouncer, user, entry), name=f"look up {user}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End all look-ups; the conflicts stay in the log."""
        await cancellation.cancel_and_wait(list(self._tasks))

    async def _resolve(self, debouncer: Debouncer, user: str, entry: str) -> None:
        await retry_forever(partial(self._look_up, user), on=FriendsError, event="debounce.resolve_conflict")
        debouncer.looked_up(entry)

    async def _look_up(self, user: str) -> None:
        await self._log.append([await self._lookups.look_up(user)])
