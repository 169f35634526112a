"""The outbox relay: friend changes and visibility, told after their commit. Knows the outbox, streams and nudges.

One at a time runs.

A pair is forgotten by its node's id once both ends' messages are in their streams; dying in between repeats them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from graph_service.errors import FriendsError, QueueUnavailable
from graph_service.friends.presence_flags import Flags
from graph_service.model.model import ChangedPair, PresenceSnapshot
from graph_service.valkey.client import Valkey
from pubnub_bridge.model.friendship_event import add_friendship_events
from pubnub_bridge.model.notification import Event, NotificationBatch, presence_event
from pubnub_bridge.store import keys
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.watermark import Watermark

POLL_SECONDS = 0.2
"""Seconds between two looks."""
MAX_BATCH = 500
_log = structlog.get_logger(__name__)


class OutboxRead(Protocol):
    """The part of `graph_service.friends.outbox.Outbox` that the relay needs."""

    async def read(self, limit: int = MAX_BATCH) -> list[ChangedPair]:
        """The oldest changed pairs as they stand now."""

    async def done(self, nodes: Sequence[str]) -> None:
        """Forget pairs."""


class FlagsRead(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that the relay needs."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock."""


class OutboxRelay:
    """Tells both ends of every changed pair how it stands, and friends of who hides or shows up again."""

    def __init__(
        self,
        *,
        outbox: OutboxRead,
        flags: FlagsRead,
        inbox: InboxStreams,
        watermark: Watermark,
        leads: Callable[[], bool],
        append_events: Callable[[Sequence[Event]], Awaitable[None]],
        on_relayed: Callable[[Sequence[ChangedPair]], None],
    ) -> None:
        self._outbox = outbox
        self._flags = flags
        self._inbox = inbox
        self._watermark = watermark
        self._leads = leads
        self._append_events = append_events
        self._on_relayed = on_relayed
        self._wakeup = asyncio.Event()

    async def run(self) -> None:
        """Relay for ever, while this process leads."""
        while True:
            self._wakeup.clear()
            if not self._leads() or not await self._stepped():
                await self._rest()

    async def listen(self, valkey: Valkey) -> None:
        """Wake at every nudge, for ever; without Valkey the looks go on by themselves."""
        while True:
            try:
                async for _ in valkey.listen(keys.WAKEUP_CHANNEL):
                    self._wakeup.set()
            except QueueUnavailable as error:
                _log.warning("nudges are not heard", reason=str(error))
            await asyncio.sleep(1.0)

    async def step(self) -> int:
        """Tell one batch; returns the number of pairs."""
        pairs = await self._watermark.read(self._outbox.read)
        if pairs:
            notifications = self._inbox.notifications()
            for pair in pairs:
                if not pair.alone:
                    add_friendship_events(pair, notifications)
            relations = notifications.events()
            await self._tell_of([pair.a.id for pair in pairs if pair.alone], notifications)
            await self._inbox.append(notifications)
            await self._append_events(relations)
            await self._outbox.done([pair.node for pair in pairs])
            self._on_relayed(pairs)
        return len(pairs)

    async def _tell_of(self, users: Sequence[str], notifications: NotificationBatch) -> None:
        """Friends are told what they may see now, the flag lowered meanwhile or not: settling that may have been silent."""
        if users:
            for one in await self._watermark.read(lambda: self._flags.read_snapshots(users)):
                notifications.add(presence_event(one), one.online_friends)

    async def _stepped(self) -> bool:
        try:
            return bool(await self.step())
        except FriendsError as error:
            if not error.temporary:
                raise
            _log.warning("friend changes wait", reason=str(error))
            await asyncio.sleep(1.0)
            return False

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            pass


async def set_visibility(flags: Flags, valkey: Valkey, user: str, invisible: bool) -> bool:
    """Hide or show a user; whether that changed anything. Friends are told by the relay, whoever dies meanwhile.

    Raises:
        UserNotFound: no such user.
    """
    changed = await flags.set_visibility(user, invisible)
    if changed:
        with suppress(QueueUnavailable):  # the change is committed, and the relay looks by itself
            await valkey.publish_wakeup(keys.WAKEUP_CHANNEL)
    return changed
