"""Builds the HTTP application: route tables, their services, middleware, authentication, limits.

Another package adds routes by passing its own tables: they share authentication, problems, limits and the document.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from graph_service.api import concurrency_limits, jwks, middleware, openapi
from graph_service.api.authentication import AUTHENTICATOR, Authenticator, build_authenticator, verifier
from graph_service.api.rate_limits import RateLimits
from graph_service.api.routes import (
    blocks,
    docs,
    friends,
    friendships,
    presence,
    probes,
    requests,
    suggestions,
    sync,
    users,
)
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import DOCUMENT, SERVICES, Services
from graph_service.settings import Settings

MAX_BODY_BYTES = 2**20
"""1 MiB: a batch of 1,000 pairs of the longest ids is about 250 KB."""

OWN: tuple[TypedRoutes, ...] = (
    friends.routes,
    requests.routes,
    blocks.routes,
    suggestions.routes,
    sync.routes,
    users.routes,
    presence.routes,
    friendships.routes,
    probes.routes,
    docs.routes,
)
"""Of this package."""


@asynccontextmanager
async def open_authenticator(settings: Settings, clustered: bool = False) -> AsyncIterator[Authenticator]:
    """The authenticator for these settings; closes its connections at the end. Raises `SetupError` without a JWT setting.

    `clustered`: whether REDIS_URL, where requests are counted, is a Cluster.
    """
    limits = RateLimits(settings=settings, clustered=clustered)
    async with aiohttp.ClientSession() as session:
        url = settings.jwt_jwks_url
        keys = jwks.JwksCache(fetch=jwks.fetch_from(session, url)) if url else None
        try:
            yield build_authenticator(settings, verifier(settings, keys), limits)
        finally:
            if keys:
                await keys.close()
            await limits.close()


def build_app(
    settings: Settings, services: Services, authenticator: Authenticator, extra: Sequence[TypedRoutes] = ()
) -> web.Application:
    """The application with our routes and `extra` ones."""
    app = web.Application(
        middlewares=[middleware.observe, middleware.guard(settings)],
        client_max_size=MAX_BODY_BYTES,
    )
    tables = [*OWN, *extra]
    app[SERVICES] = services
    app[AUTHENTICATOR] = authenticator
    app[concurrency_limits.CONCURRENCY_LIMITS] = concurrency_limits.ConcurrencyLimits(settings=settings)
    app[DOCUMENT] = json.dumps(openapi.document(tables), indent=1).encode()
    app.on_response_prepare.append(middleware.headers(settings))
    for table in tables:
        table.mount(app)
    return app
