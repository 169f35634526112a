"""Our own HTTP API as a client application sees it: a session, a pushed sync, the friends page. Knows no PubNub.

Callers are users, by development tokens; so this is for tools and demos, not for a product's back end.
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

TIMEOUT_SECONDS = aiohttp.ClientTimeout(total=15, sock_connect=3)
TOKEN_SECONDS = 300.0


class ApiUnavailable(Unavailable):
    """The API does not answer: {reason}. Try again in a moment."""

    code = "api_unavailable"


class ApiRefused(FriendsError):
    """{detail}"""

    code = "api_refused"


@dataclass(frozen=True, slots=True)
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
    """The channel that tells how many are online."""
    token: str | None
    renew_at: float | None
    """Unix seconds."""
    heartbeat: int
    """Seconds of the presence timeout."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Session:
        """From the answer."""
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
    """Calls in the name of any user.

    Methods raise ApiUnavailable when nobody answers or the answer is temporary, ApiRefused for any other problem.
    """

    def __init__(self, http: aiohttp.ClientSession, settings: Settings) -> None:
        self._http = http
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def open(cls, reach: ConnectionInfo) -> AsyncIterator[ApiClient]:
        """With connections of its own."""
        connector = aiohttp.TCPConnector(limit=8)
        async with aiohttp.ClientSession(reach.api, connector=connector, timeout=TIMEOUT_SECONDS) as http:
            yield cls(http, reach.settings)

    async def session(self, user: str) -> Session:
        """A new session."""
        return Session.of(await self._call("POST", "/v1/session", user))

    async def request_sync(self, user: str) -> None:
        """Have friends.sync pushed to the user's inbox."""
        await self._call("POST", "/v1/sync", user)

    async def friends(self, user: str) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        """All friends by pages, each with the `ts` (microseconds) it was read at."""
        after = ""
        while True:
            page = await self._call("GET", f"/v1/friends?limit=1000{after}", user)
            yield page["friends"], parse_microseconds(page["ts"])
            if not page["next"]:
                return
            after = f"&after={page['next']}"

    async def _call(self, method: str, path: str, user: str) -> Any:
        token = mint(self._settings, user, time.time(), TOKEN_SECONDS)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._http.request(method, path, headers=headers) as answer:
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            raise ApiUnavailable(reason=str(problem) or type(problem).__name__) from problem
        if answer.status < 400:
            return body
        detail = str(body.get("detail") or body.get("title") or answer.status)
        if answer.status == 429 or answer.status >= 500:
            raise ApiUnavailable(reason=detail)
        raise ApiRefused(detail=detail)
