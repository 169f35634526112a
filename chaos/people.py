"""Clients of the population, each of which records all messages. They use PubNub's calls and our HTTP API only.

A light client follows the contract of every client: a session first, explicit heartbeats, a sync request after each
connect and after each failed poll. The SDK client leaves polls and heartbeats to PubNub's SDK.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import jwt
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNReconnectionPolicy
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler
from yarl import URL

from chaos.judge import ClientRecord

PRESENCE_TIMEOUT_SECONDS = 8
"""Seconds without a heartbeat after which PubNub reports a timeout. Apps use minutes; a test cannot wait so long."""
HEARTBEAT_SECONDS = 2.0
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5)
POLL_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
"""A poll of a frozen origin ends, and is repeated with the same cursor."""
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError)


@dataclass(frozen=True)
class Address:
    """Addresses and keys of the system for clients."""

    api: str
    origin: str
    subscribe_key: str
    jwt_secret: str = field(repr=False)
    jwt_audience: str
    jwt_issuer: str


class HttpClient:
    """Requests to the API and the origin as any user."""

    def __init__(self, http: aiohttp.ClientSession, address: Address) -> None:
        self.http = http
        self.address = address

    async def call(self, method: str, path: str, user: str, body: Any = None) -> tuple[int, Any]:
        """One API request. Raises one of `FAILURES` without a response."""
        at = self.address
        claims = {"sub": user, "aud": at.jwt_audience, "iss": at.jwt_issuer, "exp": int(time.time()) + 60}
        claims["iat"] = int(time.time())
        headers = {"Authorization": f"Bearer {jwt.encode(claims, at.jwt_secret, 'HS256')}"}
        async with self.http.request(
            method, at.api + path, headers=headers, json=body, timeout=REQUEST_TIMEOUT
        ) as reply:
            return reply.status, await reply.json(content_type=None)

    async def until_done(self, method: str, path: str, user: str, body: Any = None) -> int:
        """Repeat a request until its status is neither 429 nor 5xx; returns the status."""
        while True:
            with suppress(*FAILURES):
                status, _ = await self.call(method, path, user, body)
                if status < 500 and status != 429:
                    return status
            await asyncio.sleep(random.uniform(0.2, 0.5))

    async def session(self, user: str) -> dict[str, Any]:
        """A new session. Repeats the request until it succeeds."""
        while True:
            with suppress(*FAILURES):
                status, session = await self.call("POST", "/v1/session", user)
                if status == 200:
                    return dict(session)
            await asyncio.sleep(random.uniform(0.2, 0.5))

    async def get(
        self, path: str, session: dict[str, Any], limits: aiohttp.ClientTimeout, **query: str
    ) -> Any:
        """One request to the origin as a user. Raises `ErrorResponse` or another of `FAILURES`."""
        query |= {"uuid": session["userId"]} | ({"auth": session["token"]} if session["token"] else {})
        url = URL(f"http://{self.address.origin}{path}?{urlencode(query)}", encoded=True)
        async with self.http.get(url, timeout=limits) as reply:
            if reply.status != 200:
                raise ErrorResponse(reply.status)
            return json.loads(await reply.read())


class ErrorResponse(ValueError):
    """The origin responded with an error status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the origin responded with {status}")
        self.status = status


class Client(Protocol):
    """One user's device."""

    record: ClientRecord
    connected_at: float | None
    """When it was connected and had requested a sync, by the wall clock. None before."""

    async def connect(self) -> None:
        """Connect, and stay connected."""

    async def disconnect(self, send_leave: bool = True) -> None:
        """Disconnect. Without a leave PubNub notices by its timeout."""


class LightClient:
    """A client without PubNub's SDK."""

    def __init__(self, user: str, http_client: HttpClient) -> None:
        self.record = ClientRecord(user, connected=False)
        self.connected_at: float | None = None
        self._http_client = http_client
        self._session: dict[str, Any] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        """See `Client`."""
        self.record.connected, self.record.connection_start, self.connected_at = (
            True,
            len(self.record.messages),
            None,
        )
        self._session = None
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._heartbeats())]

    async def disconnect(self, send_leave: bool = True) -> None:
        """See `Client`."""
        self.record.connected, self.connected_at = False, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if send_leave:
            with suppress(*FAILURES):
                await self._presence("leave")

    async def _listen(self) -> None:
        cursor, synced = {"tt": "0"}, False
        while True:
            session = self._session or await self._renewed()
            names = ",".join(sorted((session["channels"]["inbox"], session["channels"]["presence"])))
            path = f"/v2/subscribe/{session['subscribeKey']}/{names}/0"
            try:
                reply = await self._http_client.get(
                    path, session, POLL_TIMEOUT, heartbeat=str(PRESENCE_TIMEOUT_SECONDS), **cursor
                )
                cursor = {"tt": str(reply["t"]["t"]), "tr": str(reply["t"]["r"])}
                self.record.messages += [envelope["d"] for envelope in reply["m"]]
            except FAILURES as failure:
                synced = False
                if isinstance(failure, ErrorResponse) and failure.status in {401, 403}:
                    self._session = None
                await asyncio.sleep(random.uniform(0.1, 0.5))
                continue
            if not synced or len(reply["m"]) >= 100:
                synced = await self._request_sync()

    async def _renewed(self) -> dict[str, Any]:
        self._session = await self._http_client.session(self.record.user)
        return self._session

    async def _request_sync(self) -> bool:
        await self._http_client.until_done("POST", "/v1/sync", self.record.user)
        self.connected_at = self.connected_at or time.time()
        return True

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with suppress(*FAILURES):
                await self._presence("heartbeat", heartbeat=str(PRESENCE_TIMEOUT_SECONDS))

    async def _presence(self, verb: str, **query: str) -> None:
        if (session := self._session) is None:
            return
        path = (
            f"/v2/presence/sub-key/{session['subscribeKey']}/channel/{session['channels']['presence']}/{verb}"
        )
        await self._http_client.get(path, session, REQUEST_TIMEOUT, **query)


class _MessageListener(SubscribeCallback):  # type: ignore[misc]  # the SDK has no types
    def __init__(self, record: ClientRecord, request_sync: Callable[[], Awaitable[None]]) -> None:
        self._record, self._request_sync = record, request_sync
        self._requests: set[asyncio.Task[None]] = set()

    def message(self, pubnub: Any, message: Any) -> None:
        """Record a message."""
        self._record.messages.append(message.message)

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Not subscribed to."""

    def status(self, pubnub: Any, status: Any) -> None:
        """Request a sync after every change of the connection."""
        task = asyncio.ensure_future(self._request_sync())
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)


class SdkClient:
    """A client with PubNub's SDK."""

    def __init__(self, user: str, http_client: HttpClient) -> None:
        self.record = ClientRecord(user, connected=False)
        self.connected_at: float | None = None
        self._http_client = http_client
        self._sdk: PubNubAsyncio | None = None
        self._channels: list[str] = []

    async def connect(self) -> None:
        """See `Client`."""
        self.record.connected, self.record.connection_start, self.connected_at = (
            True,
            len(self.record.messages),
            None,
        )
        session = await self._http_client.session(self.record.user)
        config = PNConfiguration()
        config.subscribe_key, config.publish_key = session["subscribeKey"], session["publishKey"]
        config.user_id, config.origin, config.ssl = self.record.user, session["origin"], False
        config.set_presence_timeout_with_custom_interval(20, int(HEARTBEAT_SECONDS))
        config.reconnect_policy, config.reconnection_interval = PNReconnectionPolicy.LINEAR, 1
        config.maximum_reconnection_retries = -1
        self._sdk = PubNubAsyncio(
            config,
            subscription_manager=AsyncioSubscriptionManager,
            custom_request_handler=AsyncAiohttpRequestHandler,
        )
        if session["token"]:
            self._sdk.set_token(session["token"])
        self._sdk.add_listener(_MessageListener(self.record, self._request_sync))
        self._channels = [session["channels"]["presence"], session["channels"]["inbox"]]
        self._sdk.subscribe().channels(self._channels).execute()

    async def disconnect(self, send_leave: bool = True) -> None:
        """See `Client`."""
        self.record.connected, self.connected_at = False, None
        if self._sdk:
            if send_leave:
                self._sdk.unsubscribe().channels(self._channels).execute()
                await asyncio.sleep(0.2)
            await self._sdk.stop()
            self._sdk = None

    async def _request_sync(self) -> None:
        if self.record.connected:
            await self._http_client.until_done("POST", "/v1/sync", self.record.user)
            self.connected_at = self.connected_at or time.time()
