"""What an operator's machinery asks: alive, ready, metrics. Knows the checks by name; knows no engine."""

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
"""Seconds that a part may take to answer the readiness check."""


class NotReady(Unavailable):
    """Not ready for calls: {reason}."""

    code = "not_ready"


@routes.get("/livez", auth=PUBLIC, summary="Whether the process lives")
async def livez() -> Status:
    """Asks nothing of anybody: a restart would not help when an engine is away."""
    return Status(status="alive")


@routes.get("/readyz", auth=PUBLIC, summary="Whether calls can be answered", problems=(NotReady,))
async def readyz(request: web.Request) -> Status:
    """Asks the graph and Valkey; 503 names what does not answer, and while the process stops."""
    readiness = request.app[SERVICES].readiness
    if readiness.stopping:
        raise NotReady(reason="stopping")
    answers = await asyncio.gather(*(_asked(name, check) for name, check in readiness.checks.items()))
    if silent := [name for name in answers if name]:
        raise NotReady(reason=f"{', '.join(silent)} does not answer")
    return Status(status="ready")


@routes.get("/metrics", auth=PUBLIC, summary="Counts for Prometheus", produces="text/plain")
async def counts() -> web.Response:
    """In Prometheus' text format. Holds no ids; still, keep it from the outside at the load balancer."""
    return web.Response(body=metrics.rendered(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def _asked(name: str, check: Check) -> str | None:
    """The part's name when it does not answer."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await check()
    except (FriendsError, OSError) as error:
        log.warning("not ready", part=name, error=str(error) or type(error).__name__)
        return name
    return None
