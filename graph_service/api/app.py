"""The HTTP application: route tables, what they are served with, and what surrounds them. Knows no engine.

Another package adds routes by handing over its own tables: they share callers, problems, limits and the document.
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
"""The routes of this package."""


@asynccontextmanager
async def open_authenticator(settings: Settings, clustered: bool = False) -> AsyncIterator[Authenticator]:
    """Who may come in, by the options; closes its connections at the end. Raises `SetupError` without a JWT option.

    Calls are counted at REDIS_URL, which may be `clustered`.
    """
    limits = RateLimits(settings=settings, clustered=clustered)
    async with aiohttp.ClientSession() as session:
        address = settings.jwt_jwks_url
        published = jwks.JwksCache(fetch=jwks.fetch_from(session, address)) if address else None
        try:
            yield build_authenticator(settings, verifier(settings, published), limits)
        finally:
            if published:
                await published.close()
            await limits.close()


def build_app(
    settings: Settings, parts: Services, build_authenticator: Authenticator, extra: Sequence[TypedRoutes] = ()
) -> web.Application:
    """The application with our routes and `extra` ones."""
    app = web.Application(
        middlewares=[middleware.observe, middleware.guard(settings)],
        client_max_size=MAX_BODY_BYTES,
    )
    tables = [*OWN, *extra]
    app[SERVICES], app[AUTHENTICATOR], app[concurrency_limits.CONCURRENCY_LIMITS] = (
        parts,
        build_authenticator,
        concurrency_limits.ConcurrencyLimits(settings=settings),
    )
    app[DOCUMENT] = json.dumps(openapi.document(tables), indent=1).encode()
    app.on_response_prepare.append(middleware.headers(settings))
    for table in tables:
        table.mount(app)
    return app
