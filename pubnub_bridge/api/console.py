"""The operator console's routes: snapshots, looks at people, dead letters, the audit log. Reads only, but for redrive.

Admitted by the console's key (`X-Console-Key`); redrive wants the service key. Knows routes and bodies; every look
at people goes through the audit log first.
"""

from __future__ import annotations

import json
from contextlib import aclosing, suppress
from typing import Any

from aiohttp import hdrs, web

from graph_service.api import client_address
from graph_service.api.callers import AUTHENTICATOR, CONSOLE, SERVICE
from graph_service.api.routing import HEADERS, TypedRoutes
from graph_service.api.services import SERVICES
from graph_service.errors import UserNotFound
from graph_service.model.timestamps import microseconds, milliseconds
from pubnub_bridge.api.explain import Why, WhyQuery, explained
from pubnub_bridge.observe.console.audit import AuditEntry
from pubnub_bridge.observe.console.feed import TooManyConsoles
from pubnub_bridge.observe.console.schemas import (
    MOST_EDGES,
    AuditLog,
    AuditRow,
    Dead,
    DeadRow,
    Ego,
    EgoFlags,
    EgoFriend,
    EgoQuery,
    FlagsQuery,
    Redriven,
    Snapshot,
)
from pubnub_bridge.runtime.context import CONTEXT
from pubnub_bridge.store import keys
from pubnub_bridge.store.dead_letters import DeadLetter

MOST_DEAD = 100
MOST_LOOKS = 100
EXCERPT = 500

routes = TypedRoutes("console", room="console")


@routes.get("/v1/console", auth=CONSOLE, summary="The whole system at one moment")
async def snapshot(request: web.Request) -> Snapshot:
    """What every event of the stream carries, once."""
    return await request.app[CONTEXT].console_feed.current()


@routes.get(
    "/v1/console/stream",
    auth=CONSOLE,
    summary="The same every few seconds, as server-sent events",
    problems=(TooManyConsoles,),
    produces="text/event-stream",
)
async def stream(request: web.Request) -> web.StreamResponse:
    """Events are `past` (figures of the last minutes), then `snapshot` (as GET /v1/console) or `trouble` ({reason}),
    every CONSOLE_INTERVAL_SECONDS. EventSource cannot send the key: read the stream with fetch."""
    feed, readiness = request.app[CONTEXT].console_feed, request.app[SERVICES].readiness
    with feed.console(), suppress(ConnectionResetError):
        response = web.StreamResponse(headers=HEADERS | {"X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(request)
        async with aclosing(feed.events()) as events:  # type: ignore[type-var]
            async for event in events:
                if readiness.stopping or request.transport is None:
                    break
                await response.write(event)
    return response


@routes.get(
    "/v1/console/why", auth=CONSOLE, summary="Why a viewer sees what they see", problems=(UserNotFound,)
)
async def console_why(request: web.Request, query: WhyQuery) -> Why:
    """As GET /v1/why; the look is kept in the audit log."""
    context = request.app[CONTEXT]
    await context.audit.keep(look(request, "why", f"{query.viewer} {query.friend}"))
    return await explained(context, query.viewer, query.friend)


@routes.get(
    "/v1/console/ego",
    auth=CONSOLE,
    summary="A person, their friends, and who knows whom",
    problems=(UserNotFound,),
)
async def ego(request: web.Request, query: EgoQuery) -> Ego:
    """Those friends whose state changed last; the look is kept in the audit log."""
    context = request.app[CONTEXT]
    await context.audit.keep(look(request, "ego", query.user))
    graph = context.backends.graph
    row = await graph.row("ego", me=query.user, limit=query.limit, edges=MOST_EDGES)
    if row is None:
        raise UserNotFound(id=query.user)
    columns = zip(row["ids"], row["names"], row["presents"], row["hiddens"], strict=True)
    return Ego(
        user=query.user,
        name=row["name"],
        online=row["present"],
        invisible=row["invisible"],
        total=row["total"],
        friends=[EgoFriend(id=i, name=n, online=o, invisible=h) for i, n, o, h in columns],
        edges=row["pairs"],
        ts=microseconds(row["ts"]),
    )


@routes.get(
    "/v1/console/ego/flags",
    auth=CONSOLE,
    summary="Who of a person's friends is online",
    problems=(UserNotFound,),
)
async def ego_flags(request: web.Request, query: FlagsQuery) -> EgoFlags:
    """To keep a picture's colours live; a picture that refreshes itself is one look in the audit log."""
    context = request.app[CONTEXT]
    await context.audit.keep_once(look(request, "ego", query.user))
    told = await context.flags.read_snapshots([query.user])
    if not told:
        raise UserNotFound(id=query.user)
    one = told[0]
    return EgoFlags(
        user=one.user, online=one.present, friends=list(one.online_friends), ts=microseconds(one.ts)
    )


@routes.get("/v1/console/dead", auth=CONSOLE, summary="Messages that PubNub refused")
async def dead(request: web.Request) -> Dead:
    """The oldest hundred; the look is kept in the audit log, since messages name people."""
    context = request.app[CONTEXT]
    await context.audit.keep_once(look(request, "dead", ""))
    letters = await context.dead_letters.all(MOST_DEAD)
    lengths = await context.backends.valkey.lengths(
        [keys.dead_letters(n) for n in range(context.settings.partitions)]
    )
    return Dead(letters=[_dead(letter) for letter in letters], total=sum(lengths))


@routes.post("/v1/console/redrive", auth=SERVICE, summary="Put the dead letters back")
async def redrive(request: web.Request) -> Redriven:
    """Events are published as they were, old syncs anew. The console's key is not enough: this needs the service key."""
    context = request.app[CONTEXT]
    await context.audit.keep(look(request, "redrive", ""))
    return Redriven(redriven=await context.dead_letters.redrive())


@routes.get("/v1/console/audit", auth=CONSOLE, summary="Who looked at whom")
async def audit(request: web.Request) -> AuditLog:
    """The last hundred looks of operators, the newest first."""
    found = await request.app[CONTEXT].audit.last(MOST_LOOKS)
    rows: list[dict[str, Any]] = [
        {"at": milliseconds(at), "what": one.what, "about": one.about, "by": one.by, "address": one.address}
        for at, one in found
    ]
    return AuditLog(looks=[AuditRow.model_validate(row) for row in rows])


def look(request: web.Request, what: str, about: str) -> AuditEntry:
    """The audit entry of this call. How an operator calls themselves is their word: only the key was checked."""
    said = request.headers.get("X-Operator", "")
    by = "".join(letter for letter in said if letter.isprintable())[:64]
    forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
    came_from = client_address.client(request.remote or "", forwarded, request.app[AUTHENTICATOR].trusted)
    return AuditEntry(what, about, by, str(came_from))


def _dead(letter: DeadLetter) -> DeadRow:
    try:
        kind = str(json.loads(letter.body).get("type", ""))
    except (ValueError, AttributeError):
        kind = ""
    return DeadRow(
        entry=letter.entry,
        inbox=letter.inbox,
        kind=kind,
        at=milliseconds(int(letter.entry.partition("-")[0])),
        reason=letter.reason,
        bytes=len(letter.body.encode()),
        excerpt=letter.body[:EXCERPT],
    )
