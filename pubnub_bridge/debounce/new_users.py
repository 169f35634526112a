"""Users who were just created and may have been present for long. Knows who waits to be looked up; not how.

Their presence was a stranger's until now, so nobody has flagged them. Creating a user does not wait for PubNub: the
look-up follows, and is tried again while PubNub is away. One that is lost with the process is found by reconciling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from graph_service.errors import FriendsError

MAX_CONCURRENT_LOOKUPS = 50
MAX_WAITING = 10_000
"""Users that wait; beyond it reconciling finds them."""
MAX_BACKOFF_SECONDS = 30.0
_log = structlog.get_logger(__name__)

LookUp = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Looks users up and accepts what is found as seen; returns those of whom PubNub said nothing."""


class NewUsers:
    """Those who wait."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._waiting: dict[str, None] = {}
        self._woken = asyncio.Event()

    async def created(self, users: Sequence[str]) -> None:
        """These users exist from now on. Returns at once."""
        for user in users:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[user] = None
        self._woken.set()

    async def run(self) -> None:
        """Look up for ever."""
        wait = 0.5
        while True:
            await self._woken.wait()
            if await self.step():
                wait = 0.5
            else:
                await asyncio.sleep(wait)
                wait = min(MAX_BACKOFF_SECONDS, wait * 2)

    async def step(self) -> bool:
        """One batch; False where some of it must be asked again."""
        users = list(self._waiting)[:MAX_CONCURRENT_LOOKUPS]
        try:
            unknown = await self._look_up(users) if users else ()
        except FriendsError as error:
            _log.warning("new users wait to be looked up", users=len(self._waiting), reason=str(error))
            return False
        for user in users:
            del self._waiting[user]
        self._waiting.update(dict.fromkeys(unknown))
        if not self._waiting:
            self._woken.clear()
        return not unknown
