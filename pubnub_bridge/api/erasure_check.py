"""Find where a user is still named, store by store: the proof of an erase. Read-only.

What an erase left in the streams is sent or resolved within moments, so a caller who wants proof repeats the request
until it is clean. Streams are read up to `MAX_ENTRIES`; a longer one is reported as incomplete, and so as not clean.
"""

from __future__ import annotations

from collections.abc import Callable

from graph_service.api.schemas import ResponseModel
from graph_service.valkey.client import FIRST
from pubnub_bridge.runtime.context import ApiContext
from pubnub_bridge.store import keys

MAX_ENTRIES = 20_000
"""Of one stream, that are searched."""
PAGE_ENTRIES = 500
MAX_AUDIT_ENTRIES = 10_000


class Trace(ResponseModel):
    """What one store still holds."""

    store: str
    left: int
    """Places where the user is still named."""
    complete: bool
    """Whether all of the store was searched."""
    note: str = ""


class Traces(ResponseModel):
    """Where a user is still named."""

    user_id: str
    clean: bool
    """Nothing is left except what is stored on purpose, and every search was complete."""
    stores: list[Trace]


async def find_traces(context: ApiContext, user: str) -> Traces:
    """Search every store. Raises what the stores raise when they are unavailable."""
    found = [
        await _graph(context, user),
        await _app_context(context, user),
        await _values(context, user),
        await _streams(context, user, "seen streams", keys.presence_log),
        await _streams(context, user, "inbox streams", keys.inbox),
        await _streams(context, user, "events streams", keys.events),
        await _streams(context, user, "dead letters", keys.dead_letters),
    ]
    clean = all(one.complete and not one.left for one in found)
    return Traces(user_id=user, clean=clean, stores=[*found, await _audit(context, user)])


async def _graph(context: ApiContext, user: str) -> Trace:
    existing = (await context.backends.graph.row("existing_ids", ids=[user]) or {})["ids"]
    return Trace(store="graph", left=len(existing), complete=True)


async def _app_context(context: ApiContext, user: str) -> Trace:
    if context.settings.app_context == "off":
        return Trace(store="App Context", left=0, complete=True, note="not written (APP_CONTEXT=off)")
    left = await context.pubnub.metadata_count(user, f"friends.{user}")
    return Trace(store="App Context", left=left, complete=True)


async def _values(context: ApiContext, user: str) -> Trace:
    """What is stored under the user's own keys."""
    partition = context.shards.partition(user)
    lists = [keys.change_history(partition, user), keys.failed_recipients(partition, user)]
    left = sum([bool(await context.backends.valkey.remembered(key)) for key in lists])
    left += await context.backends.valkey.get(f"fp:suggestions:{user}") is not None
    note = "other users' cached suggestions may contain the id for an hour; it is never shown"
    return Trace(store="kept answers and recent changes", left=left, complete=True, note=note)


async def _streams(context: ApiContext, user: str, name: str, key: Callable[[int], str]) -> Trace:
    quoted, left, complete = f'"{user}"'.encode(), 0, True
    escaped = f'\\"{user}\\"'.encode()  # inside a message that is itself a text
    for partition in range(context.settings.partitions):
        position, searched = FIRST, 0
        while rows := (
            await context.backends.valkey.read({key(partition): position}, count=PAGE_ENTRIES)
        ).get(key(partition)):
            left += sum(quoted in body or escaped in body for _, body in rows)
            position, searched = rows[-1][0], searched + len(rows)
            if len(rows) < PAGE_ENTRIES:
                break
            if searched >= MAX_ENTRIES:
                complete = False
                break
    return Trace(store=name, left=left, complete=complete)


async def _audit(context: ApiContext, user: str) -> Trace:
    entries = await context.audit.last(MAX_AUDIT_ENTRIES)
    left = sum(user in entry.about.split() for _, entry in entries)
    note = "stored on purpose: an audit entry must outlive the user it is about; capped"
    return Trace(store="operators' audit", left=left, complete=True, note=note)
