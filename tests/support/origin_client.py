"""A running origin, and plain, signed or official-client requests to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub import PubNub
from pubnub.pubnub_asyncio import PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler
from yarl import URL

from local_stack.origin.app import Options, Running, start
from local_stack.origin.settings import KeysetSettings

NO_BODY = object()


class Client:
    """Requests to a running origin; `keyset` and `origin` give access to its state."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.origin = running.origin
        self.keyset = running.origin.keysets["demo"]
        self.address = f"{running.host}:{running.port}"
        self.session = session

    async def call(
        self, method: str, path: str, body: Any = NO_BODY, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of one request; `body` is sent as JSON, bytes as they are."""
        async with self.session.request(
            method, URL(f"http://{self.address}{path}", encoded=True), data=_sent(body), headers=headers
        ) as answer:
            return answer.status, json.loads(await answer.read())

    async def text(self, method: str, path: str, body: Any = NO_BODY) -> str:
        """The text of a response."""
        url = URL(f"http://{self.address}{path}", encoded=True)
        async with self.session.request(method, url, data=_sent(body)) as answer:
            return await answer.text()

    def signature(self, method: str, path: str, body: Any = NO_BODY) -> str:
        """`path` with a good timestamp and signature."""
        return self._signed(method, path, body, "sec", time.time())

    async def signed(
        self, method: str, path: str, body: Any = NO_BODY, *, secret: str = "sec", at: float | None = None
    ) -> tuple[int, Any]:
        """As `call`, signed by version 2 at Unix second `at` (now by default)."""
        return await self.call(method, self._signed(method, path, body, secret, at or time.time()), body)

    @staticmethod
    def _signed(method: str, path: str, body: Any, secret: str, at: float) -> str:
        signed_path, _, query = path.partition("?")
        query = "&".join(sorted([*filter(None, query.split("&")), f"timestamp={int(at)}"]))
        text = f"{method}\ndemo\n{signed_path}\n{query}\n".encode() + (_sent(body) or b"")
        made = base64.urlsafe_b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()
        return f"{signed_path}?{query}&signature=v2.{made.rstrip('=')}"

    async def token(self, ttl: int = 60, **permissions: Any) -> str:
        """A granted token, quoted for a query."""
        body = {"ttl": ttl, "permissions": permissions}
        status, answer = await self.signed("POST", "/v3/pam/demo/grant", body)
        assert status == 200, answer
        return quote(answer["data"]["token"], safe="")

    def configuration(self, uuid: str, *, secret: bool = False) -> PNConfiguration:
        """The official client's settings for this origin."""
        configuration = PNConfiguration()
        configuration.subscribe_key = configuration.publish_key = "demo"
        configuration.secret_key = "sec" if secret else None
        configuration.user_id = uuid
        configuration.origin = self.address
        configuration.ssl = False
        return configuration

    def sync_sdk(self, uuid: str = "u1", *, secret: bool = False) -> PubNub:
        """The official synchronous client; call it from a thread."""
        return PubNub(self.configuration(uuid, secret=secret))

    @asynccontextmanager
    async def sdk(self, uuid: str = "u1", *, secret: bool = False) -> AsyncIterator[PubNubAsyncio]:
        """The official asyncio client, stopped at the end."""
        pubnub = PubNubAsyncio(
            self.configuration(uuid, secret=secret), custom_request_handler=AsyncAiohttpRequestHandler
        )
        try:
            yield pubnub
        finally:
            await pubnub.stop()


@asynccontextmanager
async def serving(control: bool = False, **settings: Any) -> AsyncIterator[Client]:
    """A new origin with these keyset settings; a defect in it fails the test."""
    running = await start(Options(settings=KeysetSettings(**settings), control=control))
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(running, session)
    finally:
        await running.close()
    assert running.origin.errors == 0


def _sent(body: Any) -> bytes | None:
    if body is NO_BODY:
        return None
    return body if isinstance(body, bytes) else json.dumps(body).encode()
