"""New users: looks up users that were created a moment ago, and may have been connected for long.

Until then their presence was an unknown user's, so it is in no flag. Creating a user does not wait for PubNub: the
look-up follows, and is tried again while PubNub is away. One that is lost with the process is found by reconciling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from graph_service.errors import FriendsError

MAX_CONCURRENT_LOOKUPS = 50
MAX_WAITING = 10_000
"""Users that wait for their look-up; the presence of others is found by reconciling."""
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 30.0
_log = structlog.get_logger(__name__)

LookUp = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Looks users up and appends those present to the presence log; returns those whom PubNub did not report on."""


class NewUsers:
    """The users that wait for their look-up."""

    def __init__(self, *, look_up: LookUp) -> None:
        self._look_up = look_up
        self._waiting: dict[str, None] = {}
        self._wakeup = asyncio.Event()

    async def created(self, users: Sequence[str]) -> None:
        """These users exist from now on. Returns at once."""
        for user in users:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[user] = None
        self._wakeup.set()

    async def run(self) -> None:
        """Look up without end."""
        seconds = MIN_BACKOFF_SECONDS
        while True:
            await self._wakeup.wait()
            if await self.step():
                seconds = MIN_BACKOFF_SECONDS
            else:
                await asyncio.sleep(seconds)
                seconds = min(MAX_BACKOFF_SECONDS, seconds * 2)

    async def step(self) -> bool:
        """One batch; False where some of it must be looked up again."""
        users = list(self._waiting)[:MAX_CONCURRENT_LOOKUPS]
        try:
            missing = await self._look_up(users) if users else ()
        except FriendsError as error:
            _log.warning("new_users.look_up.failed", users=len(self._waiting), reason=str(error))
            return False
        for user in users:
            del self._waiting[user]
        # To the end of the queue, so that they do not make others wait.
        self._waiting.update(dict.fromkeys(missing))
        if not self._waiting:
            self._wakeup.clear()
        return not missing
