"""Routes of pending friend requests."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import USER, Caller
from graph_service.api.routes.friends import CURSORS
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import Outcome, Relation, RequestPage, RequestsQuery
from graph_service.api.services import SERVICES
from graph_service.errors import BadInput, UserNotFound
from graph_service.model import cursor
from graph_service.model.ids import UserId

routes = TypedRoutes("requests")


@routes.get("/v1/requests", auth=USER, summary="Pending requests", problems=(UserNotFound, *CURSORS))
async def requests(request: web.Request, caller: Caller, query: RequestsQuery) -> RequestPage:
    """Incoming ones, or with `direction=out` outgoing ones."""
    filters = ("requests", query.direction)
    after = cursor.decode(query.after, *filters) if query.after else None
    found = await request.app[SERVICES].friends.requests(caller.id, query.direction, after, query.limit)
    return RequestPage(
        requests=[Relation.of(row) for row in found.relations],
        next=cursor.encode(found.next, *filters) if found.next else None,
    )


@routes.delete("/v1/requests/{id}", auth=USER, summary="Cancel or decline", problems=(BadInput, UserNotFound))
async def cancel_or_decline(request: web.Request, caller: Caller, id_: UserId) -> Outcome:
    """Removes the pending request between the two users, in either direction. Repeating changes nothing."""
    return Outcome.of(id_, await request.app[SERVICES].friends.cancel_or_decline(caller.id, id_))
