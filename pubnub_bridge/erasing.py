"""Erasing a user from what the bridge keeps, a report a store. Knows the stores by name; the graph is erased elsewhere.

What waits in the seen, inbox and events streams is not touched: it is sent or resolved within moments, and friends
still have to hear that the friendship ended; `traces` says when none of it is left. PubNub stores no message, since all are published with ``store=0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph_service.people import Eraser
from pubnub_bridge.side import Side


def erasers(side: Side) -> Mapping[str, Eraser]:
    """By the name that the report of an erase gives them. Each raises what its store raises; then ask again."""

    async def recent_changes(user: str) -> Mapping[str, Any]:
        await side.why.forget(user)
        return {"forgotten": True}

    async def dead_letters(user: str) -> Mapping[str, Any]:
        return {"removed": await side.dead.forget(user)}

    return {
        "recent changes": recent_changes,
        "dead letters": dead_letters,
        "App Context": side.context.erase,
    }
