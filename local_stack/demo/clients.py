"""PubNub clients of the demo users: a minimal long-poll client, and one on PubNub's official SDK.

`LightClient` makes the requests of an app on a phone and ignores what they return: long polls on its user's shard and
inbox, explicit heartbeats, a leave (PubNub docs: subscribe v2, presence). After a poll that returned messages it
pauses before the next one, so that during a storm it polls every other second at most. Which client runs when is
decided in `local_stack.demo.schedule`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from graph_service.concurrency.retry import retry_forever
from graph_service.errors import FriendsError
from pubnub_bridge.client.api import ApiClient, Session
from pubnub_bridge.client.device import Connected, Device, Message, present

POLL_TIMEOUT = aiohttp.ClientTimeout(total=320, sock_connect=10)
"""Longer than the 280 s after which PubNub ends an idle poll."""
CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)
REPOLL_DELAY_SECONDS = (0.5, 3.0)
"""Range of the pause between messages and the next poll, which then returns everything published in between."""
MIN_BACKOFF_SECONDS = 1.0
RECONNECT_SECONDS = 30.0
"""Pause before the SDK client connects again after an error."""
MAX_CONCURRENT_SESSIONS = 8


class DemoClient(Protocol):
    """The client of one demo user."""

    sends_leave: bool
    """Whether it sends a leave when it ends; without one, it looks like a lost connection."""
    heartbeat_at: float
    """When the next heartbeat is due, on the monotonic clock."""

    async def run(self) -> None:
        """Be present until cancelled; errors are retried with backoff."""

    async def send_heartbeat(self) -> None:
        """Send one heartbeat and set `heartbeat_at`."""


class OriginRefused(Exception):
    """The origin returned an error status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the origin returned HTTP status {status}")
        self.status = status


RETRYABLE_ERRORS = (FriendsError, OriginRefused, aiohttp.ClientError, OSError, TimeoutError, ValueError)


class DemoConnections:
    """Shared by all clients: HTTP connections, sessions by user, counters of events."""

    def __init__(self, http: aiohttp.ClientSession, api: ApiClient) -> None:
        self.http = http
        self.api = api
        self.counted: Counter[str] = Counter()
        self._sessions: dict[str, Session] = {}
        self._session_slots = asyncio.Semaphore(MAX_CONCURRENT_SESSIONS)

    async def session(self, user: str) -> Session:
        """The user's session, renewed where its token is due."""
        cached = self._sessions.get(user)
        if cached and (cached.renew_at is None or time.time() < cached.renew_at):
            return cached
        async with self._session_slots:
            made = self._sessions[user] = await self.api.session(user)
        self.counted["sessions"] += 1
        return made

    def drop_session(self, user: str) -> None:
        """Discard a session whose token the origin rejected."""
        self._sessions.pop(user, None)

    async def call(self, session: Session, path: str, limits: aiohttp.ClientTimeout, **query: str) -> Any:
        """The JSON of one GET request to the origin.

        Raises `OriginRefused` for an error status, or another of `RETRYABLE_ERRORS`.
        """
        query |= {"uuid": session.user} | ({"auth": session.token} if session.token else {})
        scheme = "https" if session.tls else "http"
        # Encoded here: yarl's quoting takes longer than the rest of the call.
        url = URL(f"{scheme}://{session.origin}{path}?{urlencode(query)}", encoded=True)
        async with self.http.get(url, timeout=limits) as response:
            if response.status != 200:
                raise OriginRefused(response.status)
            return json.loads(await response.read())


class LightClient:
    """A minimal long-poll client."""

    def __init__(self, connections: DemoConnections, user: str) -> None:
        self.sends_leave = True
        self.heartbeat_at = math.inf
        self._connections = connections
        self._user = user
        self._session: Session | None = None

    async def run(self) -> None:
        """See `DemoClient`."""
        try:
            await self._follow()
        finally:
            if self.sends_leave and self._session:
                with suppress(*RETRYABLE_ERRORS):
                    await self._presence(self._session, "leave")

    async def send_heartbeat(self) -> None:
        """See `DemoClient`."""
        with suppress(*RETRYABLE_ERRORS):
            session = await self._connections.session(self._user)
            self.heartbeat_at = time.monotonic() + session.heartbeat / 2
            await self._presence(session, "heartbeat", heartbeat=str(session.heartbeat))

    async def _follow(self) -> None:
        cursor = {"tt": "0"}
        while True:
            cursor = await retry_forever(
                partial(self._counted_poll, cursor),
                on=RETRYABLE_ERRORS,
                event="demo.poll",
                min_seconds=MIN_BACKOFF_SECONDS,
            )

    async def _counted_poll(self, cursor: dict[str, str]) -> dict[str, str]:
        try:
            return await self._poll(cursor)
        except RETRYABLE_ERRORS as problem:
            self._connections.counted["errors"] += 1
            if isinstance(problem, OriginRefused) and problem.status == 403:
                self._connections.drop_session(self._user)
            raise

    async def _poll(self, cursor: dict[str, str]) -> dict[str, str]:
        session = await self._connections.session(self._user)
        if self._session is None:
            self._session = session
            self.heartbeat_at = time.monotonic() + session.heartbeat * random.uniform(0.2, 0.5)
        path = f"/v2/subscribe/{session.subscribe_key}/{_names(session)}/0"
        reply = await self._connections.call(
            session, path, POLL_TIMEOUT, heartbeat=str(session.heartbeat), **cursor
        )
        if reply["m"]:
            self._connections.counted["messages"] += len(reply["m"])
            await asyncio.sleep(random.uniform(*REPOLL_DELAY_SECONDS))
        return {"tt": str(reply["t"]["t"]), "tr": str(reply["t"]["r"])}

    async def _presence(self, session: Session, verb: str, **query: str) -> None:
        channel = quote(session.presence, safe="")
        path = f"/v2/presence/sub-key/{session.subscribe_key}/channel/{channel}/{verb}"
        await self._connections.call(session, path, CALL_TIMEOUT, **query)


class SdkClient:
    """A client on PubNub's official SDK, which sends heartbeats and the leave."""

    def __init__(self, connections: DemoConnections, user: str) -> None:
        self.sends_leave = True
        self.heartbeat_at = math.inf
        self._connections = connections
        self._user = user

    async def run(self) -> None:
        """See `DemoClient`."""
        while True:
            try:
                async with present(self._connections.api, self._user) as device:
                    try:
                        await self._listen(device)
                    finally:
                        device.announces_leave = self.sends_leave
            except FriendsError:
                self._connections.counted["errors"] += 1
                await asyncio.sleep(RECONNECT_SECONDS)

    async def send_heartbeat(self) -> None:
        """Does nothing: the SDK sends heartbeats."""

    async def _listen(self, device: Device) -> None:
        async for event in device.listen():
            self._connections.counted["messages"] += isinstance(event, Message)
            if isinstance(event, Connected):
                with suppress(FriendsError):
                    await self._connections.api.request_sync(self._user)


def _names(session: Session) -> str:
    return ",".join(quote(name, safe="") for name in sorted((session.inbox, session.presence)))
