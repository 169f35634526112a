"""The route that returns the payload of friends.sync, which the bridge also pushes to the inbox."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import USER, Caller
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import Sync
from graph_service.api.services import SERVICES
from graph_service.errors import UserNotFound

routes = TypedRoutes("sync")


@routes.get("/v1/sync", auth=USER, summary="Who of your friends is online", problems=(UserNotFound,))
async def sync(request: web.Request, caller: Caller) -> Sync:
    """All of them, from one read. Merge it with inbox messages by `ts`: for each friend the newest wins."""
    return Sync.of(await request.app[SERVICES].flags.sync(caller.id))
