"""Client of our own HTTP API for users: a session, a pushed sync, the pages of friends.

It signs development tokens for the users it acts for, so it is for tools and demos, not for a product's back end.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from graph_service.api.dev_tokens import mint
from graph_service.errors import FriendsError, Unavailable
from graph_service.model.timestamps import parse_microseconds
from graph_service.settings import Settings
from pubnub_bridge.client.connection_info import ConnectionInfo

REQUEST_TIMEOUT_SECONDS = 15.0
CONNECT_TIMEOUT_SECONDS = 3.0
MAX_CONNECTIONS = 8
TOKEN_SECONDS = 300.0


class ApiUnavailable(Unavailable):
    """The API does not respond: {reason}. Try again in a moment."""

    code = "api_unavailable"


class ApiRefused(FriendsError):
    """{detail}"""

    code = "api_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a user's client needs to connect (``POST /v1/session``)."""

    user: str
    publish_key: str
    subscribe_key: str
    origin: str
    tls: bool
    inbox: str
    presence: str
    everyone: str
    """The channel with the number of users online."""
    token: str | None
    renew_at: float | None
    """Unix seconds."""
    heartbeat: int
    """Seconds of the presence timeout."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Session:
        channels = body["channels"]
        return cls(
            user=body["userId"],
            publish_key=body["publishKey"],
            subscribe_key=body["subscribeKey"],
            origin=body["origin"],
            tls=body["tls"],
            inbox=channels["inbox"],
            presence=channels["presence"],
            everyone=channels["global"],
            token=body.get("token"),
            renew_at=body.get("renewAt"),
            heartbeat=body["heartbeat"],
        )


class ApiClient:
    """Requests as any user.

    Methods raise ApiUnavailable where there is no response or a temporary problem, ApiRefused for any other problem.
    """

    def __init__(self, *, http: aiohttp.ClientSession, settings: Settings) -> None:
        self._http = http
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def open(cls, where: ConnectionInfo) -> AsyncIterator[ApiClient]:
        """With a separate connection pool."""
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS, sock_connect=CONNECT_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(where.api, connector=connector, timeout=timeout) as http:
            yield cls(http=http, settings=where.settings)

    async def session(self, user: str) -> Session:
        return Session.of(await self._request("POST", "/v1/session", user))

    async def request_sync(self, user: str) -> None:
        """Request a friends.sync to the user's inbox."""
        await self._request("POST", "/v1/sync", user)

    async def friends(self, user: str) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        """All friends in pages, each with the `ts` (microseconds) of its read."""
        after = ""
        while True:
            page = await self._request("GET", f"/v1/friends?limit=1000{after}", user)
            yield page["friends"], parse_microseconds(page["ts"])
            if not page["next"]:
                return
            after = f"&after={page['next']}"

    async def _request(self, method: str, path: str, user: str) -> Any:
        token = mint(self._settings, user, time.time(), TOKEN_SECONDS)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._http.request(method, path, headers=headers) as response:
                body = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            raise ApiUnavailable(reason=str(problem) or type(problem).__name__) from problem
        if response.status < 400:
            return body
        detail = str(body.get("detail") or body.get("title") or response.status)
        if response.status == 429 or response.status >= 500:
            raise ApiUnavailable(reason=detail)
        raise ApiRefused(detail=detail)
