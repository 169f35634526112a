"""Appearing offline: committed with what is to be told of it, which the relay tells. Knows flags and the nudge."""

from __future__ import annotations

from contextlib import suppress

from graph_service.errors import QueueUnavailable
from graph_service.flags import Flags
from graph_service.valkey import Valkey
from pubnub_bridge import keys


async def set_visibility(flags: Flags, valkey: Valkey, user: str, invisible: bool) -> bool:
    """Hide or show a user; whether that changed anything. Friends are told by the relay, whoever dies meanwhile.

    Raises:
        UserNotFound: no such user.
    """
    changed = await flags.set_visibility(user, invisible)
    if changed:
        with suppress(QueueUnavailable):  # the change is committed, and the relay looks by itself
            await valkey.nudge(keys.NUDGE)
    return changed
