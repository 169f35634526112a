"""Appearing offline: what friends are told when a user hides or shows up again. Knows flags and inbox streams."""

from __future__ import annotations

from typing import Protocol

from graph_service.model import Told
from pubnub_bridge.high_water import HighWater
from pubnub_bridge.inbox import Inbox
from pubnub_bridge.notice import presence_event


class VisibilityFlags(Protocol):
    """The part of `graph_service.flags.Flags` that visibility needs."""

    async def set_visibility(self, user: str, invisible: bool) -> bool:
        """Hide or show; whether that changed anything."""

    async def tell(self, ids: list[str]) -> list[Told]:
        """Own state, online friends and clock."""


async def set_visibility(
    flags: VisibilityFlags, water: HighWater, inbox: Inbox, user: str, invisible: bool
) -> bool:
    """Commit, then read, then append, as for any settled change; whether anything changed.

    A user who is not there has nothing to hide: friends are told nothing. A repeat tells again, in case the first
    call died before it had told.

    Raises:
        UserNotFound: no such user.
    """
    changed = await flags.set_visibility(user, invisible)
    told = await water.read(lambda: flags.tell([user]))
    outgoing = inbox.outgoing()
    for one in told:
        if one.present:
            outgoing.tell(presence_event(one), one.online_friends)
    await inbox.append(outgoing)
    return changed
