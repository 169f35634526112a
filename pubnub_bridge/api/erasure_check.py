"""Where a user can still be found, store by store: the proof of an erase. Knows the stores by name; erases nothing.

What an erase left in the streams is sent or resolved within moments, so whoever wants proof asks until it is clean.
Streams are read as far as `MOST`; of longer ones it is said that the look was not complete, and so not clean.
"""

from __future__ import annotations

from collections.abc import Callable

from graph_service.api.schemas import ResponseModel
from graph_service.valkey.client import FIRST
from pubnub_bridge.runtime.context import ApiContext
from pubnub_bridge.store import keys

MOST = 20_000
"""Entries of one stream that are looked through."""
PAGE = 500


class Trace(ResponseModel):
    """One store's answer."""

    store: str
    left: int
    """Places where the user is still named."""
    complete: bool
    """Whether all of the store was looked at."""
    note: str = ""


class Traces(ResponseModel):
    """Where a user is still named."""

    user_id: str
    clean: bool
    """Nothing is left but what is kept on purpose, and every look was complete."""
    stores: list[Trace]


async def traces(context: ApiContext, user: str) -> Traces:
    """Looks into every store. Raises what the stores raise when they are away."""
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
    known = (await context.backends.graph.row("existing_ids", ids=[user]) or {})["ids"]
    return Trace(store="graph", left=len(known), complete=True)


async def _app_context(context: ApiContext, user: str) -> Trace:
    if context.settings.app_context == "off":
        return Trace(store="App Context", left=0, complete=True, note="not written (APP_CONTEXT=off)")
    left = await context.pubnub.metadata_count(user, f"friends.{user}")
    return Trace(store="App Context", left=left, complete=True)


async def _values(context: ApiContext, user: str) -> Trace:
    """What is kept under the user's own keys."""
    partition = context.shards.partition(user)
    lists = [keys.change_history(partition, user), keys.failed_recipients(partition, user)]
    left = sum([bool(await context.backends.valkey.remembered(key)) for key in lists])
    left += await context.backends.valkey.get(f"fp:suggestions:{user}") is not None
    note = "in others' kept suggestions the id may stand for an hour; it is never shown"
    return Trace(store="kept answers and recent changes", left=left, complete=True, note=note)


async def _streams(context: ApiContext, user: str, name: str, key: Callable[[int], str]) -> Trace:
    quoted, left, complete = f'"{user}"'.encode(), 0, True
    escaped = f'\\"{user}\\"'.encode()  # inside a message that is itself a text
    for partition in range(context.settings.partitions):
        place, looked = FIRST, 0
        while rows := (await context.backends.valkey.read({key(partition): place}, count=PAGE)).get(
            key(partition)
        ):
            left += sum(quoted in body or escaped in body for _, body in rows)
            place, looked = rows[-1][0], looked + len(rows)
            if len(rows) < PAGE:
                break
            if looked >= MOST:
                complete = False
                break
    return Trace(store=name, left=left, complete=complete)


async def _audit(context: ApiContext, user: str) -> Trace:
    looks = await context.audit.last(10_000)
    left = sum(user in look.about.split() for _, look in looks)
    note = "kept on purpose: who looked at whom must not be erased by being looked at; capped"
    return Trace(store="operators' audit", left=left, complete=True, note=note)
