"""Erase and export what the bridge stores about a user, with one entry in the report for each store.

The presence log, inbox and events streams are not touched: their entries are sent or resolved within moments, and
friends must still be notified that the friendship ended; `find_traces` reports when none is left. PubNub stores no
message, since all are published with ``store=0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from graph_service.friends.users import Eraser
from pubnub_bridge.runtime.context import ApiContext


def exporters(context: ApiContext) -> Mapping[str, Eraser]:
    """What is stored about a user outside the graph. App Context holds nothing that the graph does not."""

    async def recent_changes(user: str) -> Mapping[str, Any]:
        return {"changes": [asdict(one) for one in await context.change_history.changes_of(user)]}

    async def dead_letters(user: str) -> Mapping[str, Any]:
        about_user = [one for one in await context.dead_letters.all() if user in one.about]
        return {"letters": [{"kind": one.kind, "reason": one.reason} for one in about_user]}

    return {"recent changes": recent_changes, "dead letters": dead_letters}


def erasers(context: ApiContext) -> Mapping[str, Eraser]:
    """By their name in the report of an erase. Each raises what its store raises; the erase is then repeated."""

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
