"""A real server on a free port, called as products call it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from graph_service import server
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.dev_tokens import mint
from graph_service.api.routing import TypedRoutes
from graph_service.app import build_services, open_backends
from graph_service.settings import Settings

SERVICE_KEY = "service-key-of-the-tests-0123456789abcdef"
JWT_SECRET = "jwt-secret-of-the-tests-0123456789abcdefgh"
OPTIONS: dict[str, object] = {
    "service_key": SERVICE_KEY,
    "jwt_secret": JWT_SECRET,
    "jwt_audience": "friends",
    "jwt_issuer": "tests",
    "port": 0,
    "rate_limit_user": "",
    "rate_limit_address": "",
}


@dataclass
class Api:
    """One running API."""

    url: str
    session: aiohttp.ClientSession
    settings: Settings

    def token(self, user: str) -> str:
        """A good token of a user."""
        return mint(self.settings, user, time.time())

    async def call(
        self, method: str, path: str, user: str | None = None, service: bool = False, **more: Any
    ) -> tuple[int, Any]:
        """One call as a user or with the service key; the status and the body."""
        headers = dict(more.pop("headers", {}))
        if user is not None:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        if service:
            headers["X-Service-Key"] = SERVICE_KEY
        async with self.session.request(method, self.url + path, headers=headers, **more) as response:
            return response.status, await response.json(content_type=None)

    async def create_users(self, *users: str) -> None:
        """Create users, named like their ids."""
        for user in users:
            await self.call("PUT", f"/v1/users/{user}", service=True, json={"name": user.title()})

    async def befriend(self, one: str, *others: str) -> None:
        """Make friends by requesting and accepting."""
        for other in others:
            await self.call("PUT", f"/v1/friends/{other}", user=one)
            await self.call("PUT", f"/v1/friends/{one}", user=other)


@asynccontextmanager
async def running_api(settings: Settings, extra: Sequence[TypedRoutes] = ()) -> AsyncIterator[Api]:
    """The product's composition root, on a free port."""
    async with AsyncExitStack() as stack:
        services = build_services(settings, await stack.enter_async_context(open_backends(settings)))
        authenticator = await stack.enter_async_context(open_authenticator(settings))
        app = build_app(settings, services, authenticator, extra)
        address = await stack.enter_async_context(server.listening(app, settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Api(address.url, session, settings)
