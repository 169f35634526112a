"""Serve the real application on a free port, with the services of a test."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
from multidict import CIMultiDictProxy

from graph_service import server
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.dev_tokens import mint
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import Services
from graph_service.settings import Settings, load

SECRET = "a secret of this test, 32 characters or more"
SERVICE_KEY = "a service key of this test, 32 characters or more"


@dataclass(frozen=True)
class Served:
    """A running API and how to call it."""

    url: str
    settings: Settings
    client: aiohttp.ClientSession

    def bearer(self, user: str, now: float | None = None) -> dict[str, str]:
        """The headers of a user."""
        return {"Authorization": f"Bearer {mint(self.settings, user, now or time.time())}"}

    @property
    def service(self) -> dict[str, str]:
        """The headers of the product's back end."""
        return {"X-Service-Key": SERVICE_KEY}

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any, CIMultiDictProxy[str]]:
        """Status, body and headers of one call."""
        async with self.client.request(method, self.url + path, **more) as answer:
            is_json = "json" in answer.content_type
            body = await answer.json(content_type=None) if is_json else await answer.text()
            return answer.status, body, answer.headers

    async def code(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Status and problem code of one call."""
        status, body, headers = await self.call(method, path, **more)
        assert headers["Content-Type"].startswith("application/problem+json"), (status, body)
        assert body["status"] == status
        return status, body["code"]


def options(**more: Any) -> Settings:
    """Settings for a test: no database, no rate limits."""
    defaults: dict[str, Any] = {
        "environment": "development",
        "jwt_secret": SECRET,
        "service_key": SERVICE_KEY,
        "redis_url": "redis://127.0.0.1:1/0",
        "rate_limit_user": "",
        "rate_limit_address": "",
        "port": 0,
    }
    return load(Settings, **(defaults | more))


@asynccontextmanager
async def serving(
    settings: Settings, services: Services | object, extra: Sequence[TypedRoutes] = ()
) -> AsyncIterator[Served]:
    """Serve until the block ends."""
    async with (
        open_authenticator(settings) as authenticator,
        server.listening(
            build_app(settings, cast(Services, services), authenticator, extra), settings
        ) as address,
        aiohttp.ClientSession() as client,
    ):
        yield Served(address.url, settings, client)
