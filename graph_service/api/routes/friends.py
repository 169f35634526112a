"""Routes of friends."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import USER, Caller
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import (
    Friend,
    FriendDetail,
    FriendPage,
    FriendsQuery,
    Outcome,
    PageQuery,
)
from graph_service.api.services import SERVICES
from graph_service.errors import (
    BadInput,
    BlockedByCaller,
    FriendLimitReached,
    PendingLimitReached,
    UserNotFound,
)
from graph_service.friends.friends import NotFriends
from graph_service.model import cursor
from graph_service.model.ids import UserId
from graph_service.model.model import FriendPage as Page
from graph_service.model.timestamps import microseconds

routes = TypedRoutes("friends")

CURSORS = (cursor.BadCursor, cursor.CursorOfAnotherFilter)


def page_of(found: Page, *filters: str) -> FriendPage:
    """A page of the model as a response, with a cursor for the next one."""
    return FriendPage(
        friends=[Friend.of(row) for row in found.friends],
        next=cursor.encode(found.next, *filters) if found.next else None,
        ts=microseconds(found.ts),
        total=found.total,
    )


@routes.get(
    "/v1/friends", auth=USER, summary="Your friends, a page at a time", problems=(UserNotFound, *CURSORS)
)
async def friends(request: web.Request, caller: Caller, query: FriendsQuery) -> FriendPage:
    """In order of id. `state` selects those online or offline; a cursor continues with the state it was made for."""
    filters = ("friends", query.state)
    after = cursor.decode(query.after, *filters) if query.after else None
    return page_of(
        await request.app[SERVICES].friends.page(caller.id, query.state, after, query.limit), *filters
    )


@routes.get("/v1/friends/{id}", auth=USER, summary="One friend", problems=(NotFriends,))
async def friend(request: web.Request, caller: Caller, id_: UserId) -> FriendDetail:
    """With the number of friends in common."""
    return FriendDetail.of(await request.app[SERVICES].friends.one(caller.id, id_))


@routes.put(
    "/v1/friends/{id}",
    auth=USER,
    summary="Ask, or accept",
    problems=(BadInput, UserNotFound, FriendLimitReached, PendingLimitReached, BlockedByCaller),
)
async def ask(request: web.Request, caller: Caller, id_: UserId) -> Outcome:
    """Asks for friendship; where the other asked before, both are friends now. Repeating changes nothing."""
    return Outcome.of(id_, await request.app[SERVICES].friends.ask(caller.id, id_))


@routes.delete("/v1/friends/{id}", auth=USER, summary="Unfriend", problems=(BadInput, UserNotFound))
async def unfriend(request: web.Request, caller: Caller, id_: UserId) -> Outcome:
    """Ends the friendship for both. Repeating changes nothing."""
    return Outcome.of(id_, await request.app[SERVICES].friends.remove(caller.id, id_))


@routes.get(
    "/v1/friends/{id}/mutual",
    auth=USER,
    summary="Friends in common",
    problems=(NotFriends, UserNotFound, *CURSORS),
)
async def mutual(request: web.Request, caller: Caller, id_: UserId, query: PageQuery) -> FriendPage:
    """In order of id, a page at a time."""
    filters = ("mutual", id_)
    after = cursor.decode(query.after, *filters) if query.after else None
    return page_of(await request.app[SERVICES].friends.mutual(caller.id, id_, after, query.limit), *filters)
