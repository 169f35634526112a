"""Routes of users, for the product's back end: profile, export, erase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from graph_service.api.authentication import SERVICE
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import ProfileRequest, ResponseModel
from graph_service.api.services import SERVICES
from graph_service.errors import UserNotFound
from graph_service.model.ids import UserId

routes = TypedRoutes("service", limiter="service")


class Profile(ResponseModel):
    """A user's profile, and whether the user is new."""

    id: str
    name: str
    created: bool


class Stores(ResponseModel):
    """What each store holds of the user, or did to erase it."""

    id: str
    stores: Mapping[str, Mapping[str, Any]]


@routes.put("/v1/users/{id}", auth=SERVICE, summary="Create or rename a user")
async def profile(request: web.Request, id_: UserId, body: ProfileRequest) -> Profile:
    """Repeating changes nothing."""
    created = await request.app[SERVICES].users.upsert(id_, body.name)
    return Profile(id=id_, name=body.name, created=created)


@routes.get("/v1/users/{id}", auth=SERVICE, summary="Export a user", problems=(UserNotFound,))
async def export(request: web.Request, id_: UserId) -> Stores:
    """Everything that is held of the user, by store."""
    services = request.app[SERVICES]
    stores: dict[str, Mapping[str, Any]] = {"graph": await services.users.export(id_)}
    for store, export_user in services.exporters.items():
        stores[store] = await export_user(id_)
    return Stores(id=id_, stores=stores)


@routes.delete("/v1/users/{id}", auth=SERVICE, summary="Erase a user", problems=(UserNotFound,))
async def erase(request: web.Request, id_: UserId) -> Stores:
    """Erases the user in every store and reports what each did. Friends are notified that the friendship ended."""
    return Stores(id=id_, stores=await request.app[SERVICES].users.erase(id_))
