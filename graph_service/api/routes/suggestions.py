"""The route of friend suggestions."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import USER, Caller
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import Suggestion, SuggestionPage, SuggestionsQuery
from graph_service.api.services import SERVICES
from graph_service.errors import UserNotFound
from graph_service.friends.suggestions import SuggestionsBusy
from graph_service.model.timestamps import microseconds

routes = TypedRoutes("suggestions", limiter="suggestions")


@routes.get(
    "/v1/suggestions", auth=USER, summary="Whom you may know", problems=(UserNotFound, SuggestionsBusy)
)
async def suggestions(request: web.Request, caller: Caller, query: SuggestionsQuery) -> SuggestionPage:
    """Friends of friends, most mutual friends first, each with the reason: how many, who, and who is online."""
    found = await request.app[SERVICES].suggestions.top(caller.id, query.limit)
    return SuggestionPage(
        suggestions=[Suggestion.of(row) for row in found.suggestions],
        calculated_at=microseconds(found.calculated_at),
        kept=found.cached,
    )
