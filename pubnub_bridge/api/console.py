"""The operator console's routes: snapshots, users, dead letters, the audit log. Read-only except redrive.

Invariants: the console's key (`X-Console-Key`) opens these routes and no others; redrive needs the service key; every
look at a user is written to the audit log before anything is read.
"""

from __future__ import annotations

import json
from contextlib import aclosing, suppress
from typing import Any

from aiohttp import hdrs, web

from graph_service.api import client_address
from graph_service.api.authentication import AUTHENTICATOR, CONSOLE, SERVICE
from graph_service.api.routing import HEADERS, TypedRoutes
from graph_service.api.services import SERVICES
from graph_service.errors import UserNotFound
from graph_service.model.timestamps import microseconds, milliseconds
from pubnub_bridge.api.explain import Why, WhyQuery, explain
from pubnub_bridge.observe.console.audit import AuditEntry
from pubnub_bridge.observe.console.feed import TooManyConsoles
from pubnub_bridge.observe.console.schemas import (
    MAX_EDGES,
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

MAX_DEAD_LETTERS = 100
MAX_AUDIT_ENTRIES = 100
MAX_EXCERPT_CHARACTERS = 500
MAX_OPERATOR_CHARACTERS = 64

routes = TypedRoutes("console", limiter="console")


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
    every two seconds. EventSource cannot send the key: read the stream with fetch."""
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
    """As GET /v1/why; written to the audit log."""
    context = request.app[CONTEXT]
    await context.audit.write(audit_entry(request, "why", f"{query.viewer} {query.friend}"))
    return await explain(context, query.viewer, query.friend)


@routes.get(
    "/v1/console/ego",
    auth=CONSOLE,
    summary="A user, their friends, and who knows whom",
    problems=(UserNotFound,),
)
async def ego(request: web.Request, query: EgoQuery) -> Ego:
    """Those friends whose state changed last; written to the audit log."""
    context = request.app[CONTEXT]
    await context.audit.write(audit_entry(request, "ego", query.user))
    graph = context.backends.graph
    row = await graph.row("ego", me=query.user, limit=query.limit, edges=MAX_EDGES)
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
    summary="Which of a user's friends are online",
    problems=(UserNotFound,),
)
async def ego_flags(request: web.Request, query: FlagsQuery) -> EgoFlags:
    """To refresh a circle's colours; a circle that refreshes itself is one entry in the audit log."""
    context = request.app[CONTEXT]
    await context.audit.write_once(audit_entry(request, "ego", query.user))
    snapshots = await context.flags.read_snapshots([query.user])
    if not snapshots:
        raise UserNotFound(id=query.user)
    one = snapshots[0]
    return EgoFlags(
        user=one.user, online=one.present, friends=list(one.online_friends), ts=microseconds(one.ts)
    )


@routes.get("/v1/console/dead", auth=CONSOLE, summary="Messages that PubNub rejected")
async def dead(request: web.Request) -> Dead:
    """The oldest hundred; written to the audit log, since messages name users."""
    context = request.app[CONTEXT]
    await context.audit.write_once(audit_entry(request, "dead", ""))
    stored = await context.dead_letters.all(MAX_DEAD_LETTERS)
    lengths = await context.backends.valkey.lengths(
        [keys.dead_letters(n) for n in range(context.settings.partitions)]
    )
    return Dead(letters=[_dead_row(one) for one in stored], total=sum(lengths))


@routes.post("/v1/console/redrive", auth=SERVICE, summary="Put the dead letters back")
async def redrive(request: web.Request) -> Redriven:
    """Events are published as they were, syncs are read again. Needs the service key; the console's key is not enough."""
    context = request.app[CONTEXT]
    await context.audit.write(audit_entry(request, "redrive", ""))
    return Redriven(redriven=await context.dead_letters.redrive())


@routes.get("/v1/console/audit", auth=CONSOLE, summary="Which operator looked at which user")
async def audit(request: web.Request) -> AuditLog:
    """The last hundred entries, the newest first."""
    entries = await request.app[CONTEXT].audit.last(MAX_AUDIT_ENTRIES)
    rows: list[dict[str, Any]] = [
        {"at": milliseconds(at), "what": one.what, "about": one.about, "by": one.by, "address": one.address}
        for at, one in entries
    ]
    return AuditLog(looks=[AuditRow.model_validate(row) for row in rows])


def audit_entry(request: web.Request, what: str, about: str) -> AuditEntry:
    """The audit entry of this call. The operator's name is not verified: only the key was checked."""
    claimed = request.headers.get("X-Operator", "")
    by = "".join(character for character in claimed if character.isprintable())[:MAX_OPERATOR_CHARACTERS]
    forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
    address = client_address.client(request.remote or "", forwarded, request.app[AUTHENTICATOR].trusted)
    return AuditEntry(what=what, about=about, by=by, address=str(address))


def _dead_row(letter: DeadLetter) -> DeadRow:
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
        excerpt=letter.body[:MAX_EXCERPT_CHARACTERS],
    )
