"""Probes: liveness, readiness, metrics."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from graph_service import metrics
from graph_service.api.authentication import PUBLIC
from graph_service.api.routing import TypedRoutes
from graph_service.api.schemas import Status
from graph_service.api.services import SERVICES, Check
from graph_service.errors import FriendsError, Unavailable

routes = TypedRoutes("probes", limiter="")
log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 2.0
"""For each dependency of the readiness check."""


class NotReady(Unavailable):
    """Not ready for calls: {reason}."""

    code = "not_ready"


@routes.get("/livez", auth=PUBLIC, summary="Whether the process lives")
async def livez() -> Status:
    """Checks no dependency: a restart would not help when a database is away."""
    return Status(status="alive")


@routes.get("/readyz", auth=PUBLIC, summary="Whether calls can be answered", problems=(NotReady,))
async def readyz(request: web.Request) -> Status:
    """Checks the graph and Valkey. 503 names what does not respond; also 503 while the process stops."""
    readiness = request.app[SERVICES].readiness
    if readiness.stopping:
        raise NotReady(reason="stopping")
    results = await asyncio.gather(*(_unavailable(name, check) for name, check in readiness.checks.items()))
    if unavailable := [name for name in results if name]:
        raise NotReady(reason=f"{', '.join(unavailable)} does not answer")
    return Status(status="ready")


@routes.get("/metrics", auth=PUBLIC, summary="Counts for Prometheus", produces="text/plain")
async def counts() -> web.Response:
    """In Prometheus' text format. Contains no ids; do not expose it outside your network."""
    return web.Response(body=metrics.rendered(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def _unavailable(name: str, check: Check) -> str | None:
    """The dependency's name when it does not respond."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await check()
    except (FriendsError, OSError) as error:
        log.warning("http.readiness.failed", part=name, error=str(error) or type(error).__name__)
        return name
    return None
