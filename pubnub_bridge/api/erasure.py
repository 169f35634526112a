"""Erasing and exporting what the bridge keeps of a user, a report a store. Knows the stores by name, not the graph.

What waits in the seen, inbox and events streams is not touched: it is sent or resolved within moments, and friends
still have to hear that the friendship ended; `traces` says when none of it is left. PubNub stores no message, since all are published with ``store=0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from graph_service.friends.users import Eraser
from pubnub_bridge.runtime.context import ApiContext


def exporters(context: ApiContext) -> Mapping[str, Eraser]:
    """What is kept of a user beside the graph. App Context holds nothing that the graph does not."""

    async def recent_changes(user: str) -> Mapping[str, Any]:
        return {"changes": [asdict(one) for one in await context.change_history.changes_of(user)]}

    async def dead_letters(user: str) -> Mapping[str, Any]:
        letters = [one for one in await context.dead_letters.all() if user in one.about]
        return {"letters": [{"kind": one.kind, "reason": one.reason} for one in letters]}

    return {"recent changes": recent_changes, "dead letters": dead_letters}


def erasers(context: ApiContext) -> Mapping[str, Eraser]:
    """By the name that the report of an erase gives them. Each raises what its store raises; then ask again."""

    async def recent_changes(user: str) -> Mapping[str, Any]:
        await context.change_history.erase(user)
        return {"forgotten": True}

    async def dead_letters(user: str) -> Mapping[str, Any]:
        return {"removed": await context.dead_letters.erase(user)}

    return {
        "recent changes": recent_changes,
        "dead letters": dead_letters,
        "App Context": context.app_context.erase,
    }
