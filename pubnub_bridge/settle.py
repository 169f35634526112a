"""Settling (rows 5 to 8 of the walk): what is due goes into the graph, and what the graph then says is to be told.

Knows holds, flags and streams. Three steps in this order, each of which may be repeated: commit the flags, read
state and clock in a second transaction, append the notices; then the entries of the seen stream are deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from graph_service.errors import FriendsError
from graph_service.model import Flag, Settled, Told
from pubnub_bridge.hold import Change, Hold
from pubnub_bridge.inbox import Inbox
from pubnub_bridge.log import Log
from pubnub_bridge.notice import Outgoing, presence_event, sync_of

LARGEST_BATCH = 500
LINGER = 0.02
"""Seconds to wait for company once something is due."""
_log = structlog.get_logger(__name__)


class FlagStore(Protocol):
    """The part of `graph_service.flags.Flags` that settling needs."""

    async def settle(self, flags: Sequence[Flag]) -> Settled:
        """Row 6: one committed transaction."""

    async def tell(self, ids: Sequence[str]) -> list[Told]:
        """Row 7: a read begun afterwards."""


def to_be_told(changes: Sequence[Change], settled: Settled) -> list[str]:
    """Who of a batch has news. A flap or repeat has none, unless the flag was not what it was thought to be."""
    return [
        change.user
        for change in changes
        if change.user in settled.equal
        or change.user in (settled.changed if change.tell or change.again else settled.flipped)
    ]


def notices(told: Sequence[Told], outgoing: Outgoing) -> None:
    """Rows 7 to 8: what one read of these users leads to. The invisible are not talked of, but talked to."""
    for one in told:
        if not one.invisible:
            outgoing.tell(presence_event(one), one.online_friends)
        if one.present:
            outgoing.sync(sync_of(one))


class Settle:
    """Settles the users of all partitions this process owns."""

    def __init__(
        self,
        flags: FlagStore,
        log: Log,
        inbox: Inbox,
        holds: Mapping[int, Hold],
        now: Callable[[], int],
    ) -> None:
        self._flags = flags
        self._log = log
        self._inbox = inbox
        self._holds = holds
        self._now = now
        self.woken = asyncio.Event()
        """Set it when a hold has something new."""

    async def run(self) -> None:
        """Settle what is due, for ever."""
        while True:
            self.woken.clear()
            await self._wait()
            await self.step()

    async def step(self) -> int:
        """Settle one batch of what is due now, and delete what is done; returns the number of users."""
        taken = self._take()
        if taken:
            await self._until_done(taken)
        await self._delete_finished()
        return len(taken)

    async def _wait(self) -> None:
        due = min(
            (due for hold in self._holds.values() if (due := hold.next_due()) is not None), default=None
        )
        pause = 1.0 if due is None else min(1.0, (due - self._now()) / 1000)
        if pause > 0:
            try:
                async with asyncio.timeout(pause):
                    await self.woken.wait()
            except TimeoutError:
                pass
        await asyncio.sleep(LINGER)

    def _take(self) -> list[tuple[Hold, Change]]:
        taken: list[tuple[Hold, Change]] = []
        now = self._now()
        for hold in self._holds.values():
            taken += [(hold, change) for change in hold.take(now, LARGEST_BATCH - len(taken))]
        return taken

    async def _until_done(self, taken: Sequence[tuple[Hold, Change]]) -> None:
        """The graph and the queue may be away for as long as they like: the batch waits for them."""
        wait = 0.1
        while not await self._tried(taken):
            for _, change in taken:
                change.again = True
            await asyncio.sleep(wait)
            wait = min(5.0, wait * 2)

    async def _tried(self, taken: Sequence[tuple[Hold, Change]]) -> bool:
        try:
            await self._settle(taken)
        except FriendsError as error:
            if not error.temporary:
                raise
            _log.warning("settling waits", reason=str(error), users=len(taken))
            return False
        return True

    async def _settle(self, taken: Sequence[tuple[Hold, Change]]) -> None:
        changes = [change for _, change in taken]
        settled = await self._flags.settle([Flag(c.user, c.online, c.at, c.shard) for c in changes])
        news = to_be_told(changes, settled)
        told = await self._flags.tell([*news, *settled.older]) if news or settled.older else []
        outgoing = self._inbox.outgoing()
        notices([one for one in told if one.user not in settled.older], outgoing)
        await self._inbox.append(outgoing)
        present = {one.user: (one.present, one.presence_at) for one in told if one.user in settled.older}
        for hold, change in taken:
            gone = (False, change.at) if change.user in settled.unknown else None
            hold.resolved(change, present.get(change.user, gone))

    async def _delete_finished(self) -> None:
        entries = {
            partition: done for partition, hold in list(self._holds.items()) if (done := hold.finished())
        }
        if entries:
            await self._retried(lambda: self._log.delete(entries))

    async def _retried(self, call: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await call()
            except FriendsError as error:
                _log.warning("deleting waits", reason=str(error))
                await asyncio.sleep(1.0)
