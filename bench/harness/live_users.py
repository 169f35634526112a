"""Simulated clients of the origin and the API, thousands in one process.

A client sends what our client library sends: a session, a long poll on its three channels, repeated at each response (as
PubNub's SDKs do), heartbeats, a sync request after each connect, a leave. Of a reply only the cursor is parsed; the body
goes to a callback with its time of arrival.

Each client's poll has its own connection. Everything else uses open connections shared by all clients, so that the load
generator costs less than the system under test.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from bench.harness.http_load import Connection
from graph_service.api.dev_tokens import mint
from graph_service.concurrency import gc_tuning
from pubnub_bridge.client.api import Session
from pubnub_bridge.client.connection_info import ConnectionInfo

OnReply = Callable[[str, bytes, float], None]
"""Called with the user, the body of a subscribe reply and its arrival by the monotonic clock."""
EMPTY = b'"m":[]}'
FAILURES = (OSError, TimeoutError)
TOKEN_SECONDS = 3600.0
RETRY_SECONDS = (0.2, 0.6)
"""Range of the delay before a retry, where the response has no `retryAfter`."""


class ErrorResponse(OSError):
    """An HTTP response with an error status."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body[:200]!r}")
        self.after = 0
        """The response's `retryAfter` in seconds, 0 without one."""
        with suppress(ValueError):
            self.after = json.loads(body).get("retryAfter", 0)


def retry_delay(failure: Exception, otherwise: tuple[float, float] = RETRY_SECONDS) -> float:
    """Seconds until a client retries: `retryAfter` with the jitter of our client library, or a time in `otherwise`."""
    after = failure.after if isinstance(failure, ErrorResponse) else 0
    return random.uniform(after, 1.5 * after) if after else random.uniform(*otherwise)


class Pool:
    """Pool of open connections to one port, as many as there are concurrent requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def ask(self, request: bytes) -> bytes:
        """The body of the response. Raises `ErrorResponse` for an error status, another `OSError` for a failed connection."""
        while self._idle and self._idle[-1].closed:
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await Connection.to(self._port)
        body = await connection.ask(request)
        self._idle.append(connection)
        if connection.status >= 400:
            raise ErrorResponse(connection.status, body)
        return body

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class Backend:
    """Shared by all clients: connections to the origin and the API, sessions by user, and the callback for replies."""

    def __init__(self, *, connection_info: ConnectionInfo, on_reply: OnReply) -> None:
        gc_tuning.tune_gc()  # thousands of clients are many objects: a full collection would delay all of them at once
        self.on_reply = on_reply
        self.counters: Counter[str] = Counter()
        """Replies with messages, their bytes, lost polls, sessions."""
        self.origin_port = int(connection_info.origin.rpartition(":")[2])
        self.origin = Pool(self.origin_port)
        self.api = Pool(int(connection_info.api.rpartition(":")[2]))
        self._settings = connection_info.settings
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[str, str] = {}

    async def session(self, user: str, fresh: bool) -> Session:
        """The user's session. `fresh` requests a new one, as an app does after its start."""
        if fresh or user not in self._sessions:
            self._sessions[user] = Session.of(json.loads(await self.call("POST", "/v1/session", user)))
            self.counters["sessions"] += 1
        return self._sessions[user]

    async def call(self, method: str, path: str, user: str) -> bytes:
        """One API request in the user's name."""
        token = self._tokens.get(user) or mint(self._settings, user, time.time(), TOKEN_SECONDS)
        self._tokens[user] = token
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        return await self.api.ask(f"{head}Content-Length: 0\r\n\r\n".encode())

    def close(self) -> None:
        self.origin.close()
        self.api.close()


@dataclass(frozen=True, slots=True)
class Requests:
    """The encoded requests of one session. A poll is `poll`, the cursor, and `after`."""

    poll: bytes
    after: bytes
    heartbeat: bytes
    leave: bytes

    @classmethod
    def of(cls, session: Session) -> Requests:
        """Encode the requests once, since they are sent thousands of times."""
        names = ",".join(quote(name, safe="") for name in (session.inbox, session.presence, session.everyone))
        who = {"uuid": session.user} | ({"auth": session.token} if session.token else {})
        key, heartbeat = session.subscribe_key, str(session.heartbeat)
        presence = f"/v2/presence/sub-key/{key}/channel/{quote(session.presence, safe='')}"
        poll, after = _get(f"/v2/subscribe/{key}/{names}/0", who | {"heartbeat": heartbeat, "tt": "@"}).split(
            b"%40"
        )
        return cls(
            poll,
            after,
            _get(f"{presence}/heartbeat", who | {"heartbeat": heartbeat}),
            _get(f"{presence}/leave", who),
        )


def _get(path: str, query: Mapping[str, str]) -> bytes:
    return f"GET {path}?{urlencode(query)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class Poll(Connection):
    """One client's subscribe loop without a task: a response sends the next request."""

    def __init__(self, client: UserClient, requests: Requests) -> None:
        super().__init__()
        self._client = client
        self._requests = requests

    def listen(self, cursor: bytes) -> None:
        response = self.ask(self._requests.poll + cursor + self._requests.after)
        response.add_done_callback(self._on_response)

    def _on_response(self, response: asyncio.Future[bytes]) -> None:
        if response.cancelled() or response.exception() or self.closed or self.status != 200:
            self._client.on_closed(self)
            return
        body = response.result()
        if not body.endswith(EMPTY):
            self._client.on_body(body)
        if not self.closed:
            self.listen(cursor(body))


def cursor(body: bytes) -> bytes:
    """The cursor of a subscribe reply, followed by the region parameter."""
    at = body.index(b'"t":"') + 5
    end = body.index(b'"', at)
    region = body[body.index(b'"r":', end) + 4 : body.index(b"}", end)]
    return body[at:end] + b"&tr=" + region


class UserClient:
    """One user's client. Its actions are serialized, since a heartbeat that overtakes a leave would be a join."""

    def __init__(self, backend: Backend, user: str) -> None:
        self.user = user
        self.heartbeat_at = 0.0
        """When the next heartbeat is due, by the monotonic clock; 0 while disconnected."""
        self._backend = backend
        self._poll: Poll | None = None
        self._requests: Requests | None = None
        self._every = 0.0
        self._one = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether the poll is open."""
        return self._poll is not None

    async def join(self, fresh: bool = True) -> None:
        """Connect and request a sync. With `fresh` the client requests a new session first.

        Raises one of `FAILURES`.
        """
        async with self._one:
            await self._come(fresh)

    async def _come(self, fresh: bool) -> None:
        self.drop()
        session = await self._backend.session(self.user, fresh)
        requests = self._requests = Requests.of(session)
        _, poll = await asyncio.get_running_loop().create_connection(
            lambda: Poll(self, requests), "127.0.0.1", self._backend.origin_port
        )
        body = await poll.ask(requests.poll + b"0" + requests.after)
        if poll.status != 200:
            poll.close()
            raise ErrorResponse(poll.status, body)
        self._poll, self._every = poll, session.heartbeat / 2
        self.heartbeat_at = time.monotonic() + self._every * random.uniform(0.5, 1.0)
        poll.listen(cursor(body))
        await self._backend.call("POST", "/v1/sync", self.user)

    async def leave(self) -> None:
        """Close the poll, then send a leave, in this order as an app does (uvloop closes in its next iteration)."""
        async with self._one:
            self.drop()
            for _ in range(2):
                await asyncio.sleep(0)
            if self._requests:
                await self._backend.origin.ask(self._requests.leave)

    def drop(self) -> None:
        """Close the connection without a leave."""
        poll, self._poll, self.heartbeat_at = self._poll, None, 0.0
        if poll:
            poll.close()
            poll.closed = True

    async def heartbeat(self) -> None:
        """Send a heartbeat."""
        self.heartbeat_at = time.monotonic() + self._every
        async with self._one:
            if self.connected and self._requests:
                with suppress(*FAILURES):
                    await self._backend.origin.ask(self._requests.heartbeat)

    def on_body(self, body: bytes) -> None:
        """Count a reply and pass it to the callback."""
        self._backend.counters["replies"] += 1
        self._backend.counters["bytes"] += len(body)
        self._backend.on_reply(self.user, body, time.monotonic())

    def on_closed(self, poll: Poll) -> None:
        """A poll ended that the client did not close."""
        if poll is self._poll:
            self._backend.counters["troubles"] += 1
            self.drop()


async def send_heartbeats(clients: Mapping[Any, UserClient]) -> None:
    """Send the heartbeats of all connected clients, endlessly."""
    while True:
        await asyncio.sleep(0.5)
        now = time.monotonic()
        await asyncio.gather(*[one.heartbeat() for one in clients.values() if 0 < one.heartbeat_at <= now])
