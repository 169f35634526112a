"""Outbox relay: notifies both users of every changed pair of what each may see now, after the change's commit.

Polls the outbox in the graph, and is woken by the wake-up channel. One at a time runs, on the leader. Invariants: a
pair is deleted by its node's id, and only once the messages to both users are in their streams, so dying in between
repeats them; what is published is the state of the read, not that of the change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from graph_service.concurrency.wait import wait_or_timeout
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
RETRY_SECONDS = 1.0
MAX_BATCH = 500
_log = structlog.get_logger(__name__)


class OutboxRead(Protocol):
    """The part of `graph_service.friends.outbox.Outbox` that the relay needs."""

    async def read(self, limit: int = MAX_BATCH) -> list[ChangedPair]:
        """The oldest changed pairs as they are now."""

    async def done(self, nodes: Sequence[str]) -> None:
        """Delete pairs."""


class FlagsRead(Protocol):
    """The part of `graph_service.friends.presence_flags.Flags` that the relay needs."""

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Own state, online friends and clock."""


class OutboxRelay:
    """Relays pairs, and users that hide or show up again."""

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
        """Relay without end, while this process leads."""
        while True:
            self._wakeup.clear()
            if not self._leads() or not await self._tried():
                await wait_or_timeout(self._wakeup, seconds=POLL_SECONDS)

    async def listen(self, valkey: Valkey) -> None:
        """Wake at every message of the wake-up channel, without end; while Valkey is away, polling goes on."""
        while True:
            try:
                async for _ in valkey.listen(keys.WAKEUP_CHANNEL):
                    self._wakeup.set()
            except QueueUnavailable as error:
                _log.warning("relay.listen.retrying", reason=str(error), seconds=RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    async def step(self) -> int:
        """Relay one batch; returns the number of pairs."""
        pairs = await self._watermark.read(self._outbox.read)
        if pairs:
            notifications = self._inbox.notifications()
            for pair in pairs:
                if not pair.alone:
                    add_friendship_events(pair, notifications)
            events = notifications.events()
            await self._add_visibility([pair.a.id for pair in pairs if pair.alone], notifications)
            await self._inbox.append(notifications)
            await self._append_events(events)
            # Last: what is deleted is not relayed again.
            await self._outbox.done([pair.node for pair in pairs])
            self._on_relayed(pairs)
        return len(pairs)

    async def _add_visibility(self, users: Sequence[str], notifications: NotificationBatch) -> None:
        """Friends are notified of what they may see now, also where the flag was lowered in between.

        That commit may have sent no notification, since the user was invisible.
        """
        if users:
            for one in await self._watermark.read(lambda: self._flags.read_snapshots(users)):
                notifications.add(presence_event(one), one.online_friends)

    async def _tried(self) -> bool:
        try:
            return bool(await self.step())
        except FriendsError as error:
            if not error.temporary:
                raise
            _log.warning("relay.batch.retrying", reason=str(error), seconds=RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)
            return False


async def set_visibility(flags: Flags, valkey: Valkey, user: str, invisible: bool) -> bool:
    """Hide or show a user; whether that changed anything. The relay notifies friends, also after a crash.

    Raises:
        UserNotFound: no such user.
    """
    changed = await flags.set_visibility(user, invisible)
    if changed:
        with suppress(QueueUnavailable):  # the change is committed, and the relay polls
            await valkey.publish_wakeup(keys.WAKEUP_CHANNEL)
    return changed
