"""The bulk route of friendships, for the product's back end."""

from __future__ import annotations

from aiohttp import web

from graph_service.api.authentication import SERVICE
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import PairResult, PairResults, PairsRequest
from graph_service.api.services import SERVICES

routes = TypedRoutes("service", limiter="service")


@routes.post("/v1/friendships:batch", auth=SERVICE, summary="Make up to 1,000 friendships")
async def friendships(request: web.Request, body: PairsRequest) -> PairResults:
    """One result for each pair: created, exists, or refused with the reason. Repeating creates nothing twice."""
    found = await request.app[SERVICES].bulk.batch([pair.pair() for pair in body.pairs])
    return PairResults(results=[PairResult.of(row) for row in found])
