"""One demo person on the wire: a light subscribe loop, or PubNub's official SDK. Knows PubNub's calls; decides nothing.

The light one does what an app on a phone does, without reading what it hears: polls on the own shard and inbox,
explicit heartbeats, a leave (PubNub docs: subscribe v2, presence). It waits a moment before it polls again, so that
a storm costs it a poll every other second at most.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from graph_service.errors import FriendsError
from pubnub_bridge.client.api import ApiClient, Session
from pubnub_bridge.client.device import Connected, Device, Message, present

POLL_TIMEOUT = aiohttp.ClientTimeout(total=320, sock_connect=10)
"""Above the 280 s after which PubNub ends an idle poll."""
CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)
REPOLL_DELAY_SECONDS = (0.5, 3.0)
"""Seconds, from and to, between what was heard and the next poll: what comes meanwhile comes in one answer."""
MAX_BACKOFF_SECONDS = 30.0
"""Seconds, at most, between two attempts."""
MAX_CONCURRENT_SESSIONS = 8


class DemoClient(Protocol):
    """Someone present."""

    sends_leave: bool
    """Whether the end is told; without it, it looks like a lost connection."""
    heartbeat_at: float
    """When the next heartbeat is due, on the monotonic clock."""

    async def run(self) -> None:
        """Be present until cancelled; troubles are waited out."""

    async def send_heartbeat(self) -> None:
        """Send a heartbeat."""


class OriginRefused(Exception):
    """The origin answered with an error."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the origin answered {status}")
        self.status = status


RETRYABLE_ERRORS = (FriendsError, OriginRefused, aiohttp.ClientError, OSError, TimeoutError, ValueError)


class DemoConnections:
    """What all demo people share: connections, sessions by user, and counters of what happened."""

    def __init__(self, http: aiohttp.ClientSession, api: ApiClient) -> None:
        self.http = http
        self.api = api
        self.counted: Counter[str] = Counter()
        self._sessions: dict[str, Session] = {}
        self._session_slots = asyncio.Semaphore(MAX_CONCURRENT_SESSIONS)

    async def session(self, user: str) -> Session:
        """A session whose token is good."""
        known = self._sessions.get(user)
        if known and (known.renew_at is None or time.time() < known.renew_at):
            return known
        async with self._session_slots:
            made = self._sessions[user] = await self.api.session(user)
        self.counted["sessions"] += 1
        return made

    def drop_session(self, user: str) -> None:
        """The origin did not accept the token: the next session is a new one."""
        self._sessions.pop(user, None)

    async def call(self, session: Session, path: str, limits: aiohttp.ClientTimeout, **query: str) -> Any:
        """One GET of the origin.

        Raises `OriginRefused`, or another of `TROUBLES` where nobody answers.
        """
        query |= {"uuid": session.user} | ({"auth": session.token} if session.token else {})
        scheme = "https" if session.tls else "http"
        # Encoded here, since the general way to build an address takes longer than the rest of the call.
        url = URL(f"{scheme}://{session.origin}{path}?{urlencode(query)}", encoded=True)
        async with self.http.get(url, timeout=limits) as answer:
            if answer.status != 200:
                raise OriginRefused(answer.status)
            return json.loads(await answer.read())


class LightClient:
    """A person on a loop of our own."""

    def __init__(self, connections: DemoConnections, user: str) -> None:
        self.sends_leave = True
        self.heartbeat_at = math.inf
        self._connections = connections
        self._user = user
        self._session: Session | None = None

    async def run(self) -> None:
        """See `UserProfile`."""
        try:
            await self._follow()
        finally:
            if self.sends_leave and self._session:
                with suppress(*RETRYABLE_ERRORS):
                    await self._presence(self._session, "leave")

    async def send_heartbeat(self) -> None:
        """See `UserProfile`."""
        with suppress(*RETRYABLE_ERRORS):
            session = await self._connections.session(self._user)
            self.heartbeat_at = time.monotonic() + session.heartbeat / 2
            await self._presence(session, "heartbeat", heartbeat=str(session.heartbeat))

    async def _follow(self) -> None:
        cursor = {"tt": "0"}
        failures = 0
        while True:
            try:
                cursor = await self._poll(cursor)
                failures = 0
            except RETRYABLE_ERRORS as problem:
                failures += 1
                self._connections.counted["errors"] += 1
                if isinstance(problem, OriginRefused) and problem.status == 403:
                    self._connections.drop_session(self._user)
                await asyncio.sleep(
                    min(MAX_BACKOFF_SECONDS, random.uniform(0.5, 1.0) * 2 ** min(failures, 6))
                )

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
    """A person whose client is PubNub's own SDK, which sends heartbeats and the leave itself."""

    def __init__(self, connections: DemoConnections, user: str) -> None:
        self.sends_leave = True
        self.heartbeat_at = math.inf
        self._connections = connections
        self._user = user

    async def run(self) -> None:
        """See `UserProfile`."""
        while True:
            try:
                async with present(self._connections.api, self._user) as device:
                    try:
                        await self._listen(device)
                    finally:
                        device.announces_leave = self.sends_leave
            except FriendsError:
                self._connections.counted["errors"] += 1
                await asyncio.sleep(MAX_BACKOFF_SECONDS)

    async def send_heartbeat(self) -> None:
        """See `UserProfile`."""

    async def _listen(self, device: Device) -> None:
        async for heard in device.listen():
            self._connections.counted["messages"] += isinstance(heard, Message)
            if isinstance(heard, Connected):
                with suppress(FriendsError):
                    await self._connections.api.request_sync(self._user)


def _names(session: Session) -> str:
    return ",".join(quote(name, safe="") for name in sorted((session.inbox, session.presence)))
