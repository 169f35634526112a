"""The population: clients on the wire, each keeping all it hears. Knows PubNub's calls and our HTTP API, nothing inside.

A light client keeps the contract of every client: a session first, explicit heartbeats, a sync asked for after each
connect and after each poll that failed. The official one leaves polls and heartbeats to PubNub's SDK.
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

TIMEOUT = 8
"""Seconds without a sign of life after which PubNub tells of a timeout. Apps use minutes; a test has none."""
BEAT = 2.0
CALL = aiohttp.ClientTimeout(total=5)
POLL = aiohttp.ClientTimeout(total=30, sock_connect=5)
"""A poll of a frozen origin is given up, and begun again with the same cursor."""
TROUBLES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError)


@dataclass(frozen=True)
class Address:
    """How the system is reached from outside."""

    api: str
    origin: str
    subscribe_key: str
    jwt_secret: str = field(repr=False)
    jwt_audience: str
    jwt_issuer: str


class Net:
    """Calls to the API as any user."""

    def __init__(self, http: aiohttp.ClientSession, address: Address) -> None:
        self.http = http
        self.address = address

    async def call(self, method: str, path: str, user: str, body: Any = None) -> tuple[int, Any]:
        """One call; raises `TROUBLES` where nobody answers."""
        at = self.address
        claims = {"sub": user, "aud": at.jwt_audience, "iss": at.jwt_issuer, "exp": int(time.time()) + 60}
        claims["iat"] = int(time.time())
        headers = {"Authorization": f"Bearer {jwt.encode(claims, at.jwt_secret, 'HS256')}"}
        async with self.http.request(
            method, at.api + path, headers=headers, json=body, timeout=CALL
        ) as reply:
            return reply.status, await reply.json(content_type=None)

    async def done(self, method: str, path: str, user: str, body: Any = None) -> int:
        """The same until it was answered with something else than: try again."""
        while True:
            with suppress(*TROUBLES):
                status, _ = await self.call(method, path, user, body)
                if status < 500 and status != 429:
                    return status
            await asyncio.sleep(random.uniform(0.2, 0.5))

    async def session(self, user: str) -> dict[str, Any]:
        """A session, asked for until there is one."""
        while True:
            with suppress(*TROUBLES):
                status, session = await self.call("POST", "/v1/session", user)
                if status == 200:
                    return dict(session)
            await asyncio.sleep(random.uniform(0.2, 0.5))

    async def get(
        self, path: str, session: dict[str, Any], patience: aiohttp.ClientTimeout, **query: str
    ) -> Any:
        """One call of the origin as a user. Raises `Refused` or another of `TROUBLES`."""
        query |= {"uuid": session["userId"]} | ({"auth": session["token"]} if session["token"] else {})
        url = URL(f"http://{self.address.origin}{path}?{urlencode(query)}", encoded=True)
        async with self.http.get(url, timeout=patience) as reply:
            if reply.status != 200:
                raise Refused(reply.status)
            return json.loads(await reply.read())


class Refused(ValueError):
    """The origin answered with an error."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the origin answered {status}")
        self.status = status


class Client(Protocol):
    """One person's device."""

    heard: ClientRecord
    connected_at: float | None
    """When it was connected and had asked for its sync, by the wall clock; None before."""

    async def come(self) -> None:
        """Be there."""

    async def go(self, goodbye: bool = True) -> None:
        """Be gone; without a goodbye PubNub finds out by its timeout."""


class Light:
    """A client of our own."""

    def __init__(self, user: str, net: Net) -> None:
        self.heard = ClientRecord(user, here=False)
        self.connected_at: float | None = None
        self._net = net
        self._session: dict[str, Any] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self) -> None:
        """See `PubNubSdk`."""
        self.heard.here, self.heard.since, self.connected_at = True, len(self.heard.messages), None
        self._session = None
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._beat())]

    async def go(self, goodbye: bool = True) -> None:
        """See `PubNubSdk`."""
        self.heard.here, self.connected_at = False, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if goodbye:
            with suppress(*TROUBLES):
                await self._presence("leave")

    async def _listen(self) -> None:
        place, sure = {"tt": "0"}, False
        while True:
            session = self._session or await self._renewed()
            names = ",".join(sorted((session["channels"]["inbox"], session["channels"]["presence"])))
            path = f"/v2/subscribe/{session['subscribeKey']}/{names}/0"
            try:
                reply = await self._net.get(path, session, POLL, heartbeat=str(TIMEOUT), **place)
                place = {"tt": str(reply["t"]["t"]), "tr": str(reply["t"]["r"])}
                self.heard.messages += [envelope["d"] for envelope in reply["m"]]
            except TROUBLES as trouble:
                sure = False
                if isinstance(trouble, Refused) and trouble.status in {401, 403}:
                    self._session = None
                await asyncio.sleep(random.uniform(0.1, 0.5))
                continue
            if not sure or len(reply["m"]) >= 100:
                sure = await self._asked_for_sync()

    async def _renewed(self) -> dict[str, Any]:
        self._session = await self._net.session(self.heard.user)
        return self._session

    async def _asked_for_sync(self) -> bool:
        await self._net.done("POST", "/v1/sync", self.heard.user)
        self.connected_at = self.connected_at or time.time()
        return True

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            with suppress(*TROUBLES):
                await self._presence("heartbeat", heartbeat=str(TIMEOUT))

    async def _presence(self, verb: str, **query: str) -> None:
        if (session := self._session) is None:
            return
        path = (
            f"/v2/presence/sub-key/{session['subscribeKey']}/channel/{session['channels']['presence']}/{verb}"
        )
        await self._net.get(path, session, CALL, **query)


class _Ear(SubscribeCallback):  # type: ignore[misc]  # the SDK has no types
    def __init__(self, heard: ClientRecord, again: Callable[[], Awaitable[None]]) -> None:
        self._heard, self._again = heard, again
        self._asking: set[asyncio.Task[None]] = set()

    def message(self, pubnub: Any, message: Any) -> None:
        """Kept."""
        self._heard.messages.append(message.message)

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Not subscribed to."""

    def status(self, pubnub: Any, status: Any) -> None:
        """Connected, again, or in trouble: a sync is asked for."""
        task = asyncio.ensure_future(self._again())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


class Official:
    """PubNub's own SDK."""

    def __init__(self, user: str, net: Net) -> None:
        self.heard = ClientRecord(user, here=False)
        self.connected_at: float | None = None
        self._net = net
        self._sdk: PubNubAsyncio | None = None
        self._channels: list[str] = []

    async def come(self) -> None:
        """See `PubNubSdk`."""
        self.heard.here, self.heard.since, self.connected_at = True, len(self.heard.messages), None
        session = await self._net.session(self.heard.user)
        config = PNConfiguration()
        config.subscribe_key, config.publish_key = session["subscribeKey"], session["publishKey"]
        config.user_id, config.origin, config.ssl = self.heard.user, session["origin"], False
        config.set_presence_timeout_with_custom_interval(20, int(BEAT))
        config.reconnect_policy, config.reconnection_interval = PNReconnectionPolicy.LINEAR, 1
        config.maximum_reconnection_retries = -1
        self._sdk = PubNubAsyncio(
            config,
            subscription_manager=AsyncioSubscriptionManager,
            custom_request_handler=AsyncAiohttpRequestHandler,
        )
        if session["token"]:
            self._sdk.set_token(session["token"])
        self._sdk.add_listener(_Ear(self.heard, self._ask))
        self._channels = [session["channels"]["presence"], session["channels"]["inbox"]]
        self._sdk.subscribe().channels(self._channels).execute()

    async def go(self, goodbye: bool = True) -> None:
        """See `PubNubSdk`."""
        self.heard.here, self.connected_at = False, None
        if self._sdk:
            if goodbye:
                self._sdk.unsubscribe().channels(self._channels).execute()
                await asyncio.sleep(0.2)
            await self._sdk.stop()
            self._sdk = None

    async def _ask(self) -> None:
        if self.heard.here:
            await self._net.done("POST", "/v1/sync", self.heard.user)
            self.connected_at = self.connected_at or time.time()
