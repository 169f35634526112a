"""Signing in as a demo person, without a password: for one machine only. Knows tokens; serves nothing unless asked.

The routes are there with DEMO_LOGIN=on alone, which production refuses. They answer only to pages that were opened by
a loopback name, so that a page of somebody else's, by whatever name it makes a browser find this machine, gets no token.
"""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import Field

from graph_service.api.authentication import PUBLIC
from graph_service.api.dev_tokens import mint
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import RequestModel, ResponseModel
from graph_service.api.services import SERVICES
from graph_service.errors import Forbidden, UserNotFound
from graph_service.model.ids import UserId
from pubnub_bridge.api.routes import CONTEXT

TOKEN_SECONDS = 3600.0
OFFERED = 12
"""People to choose from."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

routes = TypedRoutes("demo")


class NotFromHere(Forbidden):
    """Demo people are for pages opened on this machine, by 127.0.0.1 or localhost."""

    code = "not_from_here"


class DemoPerson(ResponseModel):
    """Somebody to be."""

    id: str
    name: str


class DemoPeople(ResponseModel):
    """Some demo people who are friends; none while they are still being made up."""

    people: list[DemoPerson]


class DemoRequest(RequestModel):
    """Whom to be."""

    user: UserId


class DemoSession(ResponseModel):
    """A token of the product, as its own login would give."""

    user: str
    name: str
    token: str
    expires_at: Annotated[int, Field(description="Unix seconds")]


@routes.get("/demo/people", auth=PUBLIC, summary="Some people to be", problems=(NotFromHere,))
async def people(request: web.Request) -> DemoPeople:
    """The first person and some of their friends; the demo leaves the first three alone."""
    _only_here(request)
    graph = request.app[CONTEXT].backends.graph
    first = await graph.rows("first_users", limit=1)
    if not first:
        return DemoPeople(people=[])
    me = str(first[0]["id"])
    page = await request.app[SERVICES].friends.page(me, "all", None, OFFERED - 1)
    friends = [DemoPerson(id=one.id, name=one.name) for one in page.friends]
    return DemoPeople(people=[DemoPerson(id=me, name=await _name(request, me) or me), *friends])


@routes.post("/demo/session", auth=PUBLIC, summary="Be a demo person", problems=(NotFromHere, UserNotFound))
async def session(request: web.Request, body: DemoRequest) -> DemoSession:
    """A token for an hour; with it, ask for ``/v1/session``."""
    _only_here(request)
    name = await _name(request, body.user)
    if name is None:
        raise UserNotFound(id=body.user)
    now = time.time()
    token = mint(request.app[CONTEXT].settings, body.user, now, TOKEN_SECONDS)
    return DemoSession(user=body.user, name=name, token=token, expires_at=int(now + TOKEN_SECONDS))


async def _name(request: web.Request, user: str) -> str | None:
    """What a user is shown as; None for nobody."""
    row = await request.app[CONTEXT].backends.graph.row("suggestion_profiles", me=user, ids=[user])
    return str(row["names"][0]) if row else None


def _only_here(request: web.Request) -> None:
    if urlsplit(f"//{request.host}").hostname not in LOOPBACK:
        raise NotFromHere
