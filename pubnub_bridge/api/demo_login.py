"""Sign in as a demo user without a password: for one machine only.

Invariants: the routes exist only with DEMO_LOGIN=true, which production refuses; they serve only pages that were opened
by a loopback name, so a foreign page, by whatever name it makes a browser reach this machine, gets no token.
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
MAX_OFFERED_USERS = 12
LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "::1"}

routes = TypedRoutes("demo")


class NotFromHere(Forbidden):
    """Demo users are for pages opened on this machine, by 127.0.0.1 or localhost."""

    code = "not_from_here"


class DemoUser(ResponseModel):
    id: str
    name: str


class DemoUsers(ResponseModel):
    """Some demo users who are friends; none while they are still being generated."""

    people: list[DemoUser]


class DemoRequest(RequestModel):
    """The user to sign in as."""

    user: UserId


class DemoSession(ResponseModel):
    """A token of the product, as its own login would give."""

    user: str
    name: str
    token: str
    expires_at: Annotated[int, Field(description="Unix seconds")]


@routes.get("/demo/people", auth=PUBLIC, summary="Demo users to sign in as", problems=(NotFromHere,))
async def people(request: web.Request) -> DemoUsers:
    """The first user and some of their friends; the demo does not act for the first three."""
    _require_loopback(request)
    graph = request.app[CONTEXT].backends.graph
    first = await graph.rows("first_users", limit=1)
    if not first:
        return DemoUsers(people=[])
    me = str(first[0]["id"])
    page = await request.app[SERVICES].friends.page(me, "all", None, MAX_OFFERED_USERS - 1)
    friends = [DemoUser(id=one.id, name=one.name) for one in page.friends]
    return DemoUsers(people=[DemoUser(id=me, name=await _name(request, me) or me), *friends])


@routes.post(
    "/demo/session", auth=PUBLIC, summary="Sign in as a demo user", problems=(NotFromHere, UserNotFound)
)
async def session(request: web.Request, body: DemoRequest) -> DemoSession:
    """A token for an hour, with which to request ``/v1/session``."""
    _require_loopback(request)
    name = await _name(request, body.user)
    if name is None:
        raise UserNotFound(id=body.user)
    now = time.time()
    token = mint(request.app[CONTEXT].settings, body.user, now, TOKEN_SECONDS)
    return DemoSession(user=body.user, name=name, token=token, expires_at=int(now + TOKEN_SECONDS))


async def _name(request: web.Request, user: str) -> str | None:
    """A user's display name; None where there is no such user."""
    row = await request.app[CONTEXT].backends.graph.row("suggestion_profiles", me=user, ids=[user])
    return str(row["names"][0]) if row else None


def _require_loopback(request: web.Request) -> None:
    if urlsplit(f"//{request.host}").hostname not in LOOPBACK_HOSTS:
        raise NotFromHere
