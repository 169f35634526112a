"""The presence query, for the product's back end."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import SERVICE
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import IdsRequest, Presence, Presences
from graph_service.api.services import SERVICES

routes = TypedRoutes("service", limiter="service")


@routes.post("/v1/presence:query", auth=SERVICE, summary="Who of up to 500 users is online")
async def presence(request: web.Request, body: IdsRequest) -> Presences:
    """The settled state, as friends see it: invisible users are offline. Ids without a user are listed separately."""
    ids = list(dict.fromkeys(body.ids))
    found = await request.app[SERVICES].flags.presence(ids)
    known = {row.id for row in found}
    return Presences(
        presence=[Presence.of(row) for row in found],
        unknown=[one for one in ids if one not in known],
    )
