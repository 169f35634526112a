"""Routes of blocks."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import USER, Caller
from graph_service.api.routes.friends import CURSORS
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import BlockPage, Outcome, PageQuery, Relation
from graph_service.api.services import SERVICES
from graph_service.errors import BadInput, UserNotFound
from graph_service.model import cursor
from graph_service.model.ids import UserId

routes = TypedRoutes("blocks")


@routes.get("/v1/blocks", auth=USER, summary="Whom you block", problems=(UserNotFound, *CURSORS))
async def blocks(request: web.Request, caller: Caller, query: PageQuery) -> BlockPage:
    """In order of id, a page at a time."""
    after = cursor.decode(query.after, "blocks") if query.after else None
    found = await request.app[SERVICES].friends.blocks(caller.id, after, query.limit)
    return BlockPage(
        blocks=[Relation.of(row) for row in found.relations],
        next=cursor.encode(found.next, "blocks") if found.next else None,
    )


@routes.put("/v1/blocks/{id}", auth=USER, summary="Block", problems=(BadInput, UserNotFound))
async def block(request: web.Request, caller: Caller, id_: UserId) -> Outcome:
    """Ends friendship and requests. To the other it looks like being unfriended. Repeating changes nothing."""
    return Outcome.of(id_, await request.app[SERVICES].friends.block(caller.id, id_))


@routes.delete("/v1/blocks/{id}", auth=USER, summary="Unblock", problems=(BadInput, UserNotFound))
async def unblock(request: web.Request, caller: Caller, id_: UserId) -> Outcome:
    """Ends the block; nothing that it ended comes back. Repeating changes nothing."""
    return Outcome.of(id_, await request.app[SERVICES].friends.unblock(caller.id, id_))
