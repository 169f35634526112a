"""People on the wire, cheaply: each a client of the origin and the API, thousands in one process.

Knows what a client of ours sends: a session, a long poll on its three channels with the next one sent as soon as one
is answered (as PubNub's SDKs do), heartbeats, a sync asked for after each connect, a leave. Reads nothing of what is
heard but the cursor: bodies go to whoever listens, with the moment they came.

Each person's poll has a connection of its own. Everything else goes over kept connections shared by all, so that the
driver's price stays below that of what it drives.
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
"""Told who heard which body of a subscribe reply, and when by the monotonic clock."""
EMPTY = b'"m":[]}'
FAILURES = (OSError, TimeoutError)
TOKEN_SECONDS = 3600.0
RETRY_SECONDS = (0.2, 0.6)
"""From and to, until what failed is tried again; who is told when to come back does so then, as our client library."""


class ErrorResponse(OSError):
    """An answer that is an error."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body[:200]!r}")
        self.after = 0
        """Seconds after which to come back, where the answer says so."""
        with suppress(ValueError):
            self.after = json.loads(body).get("retryAfter", 0)


def retry_delay(failure: Exception, otherwise: tuple[float, float] = RETRY_SECONDS) -> float:
    """Seconds until a client tries again: what it was told, spread as our client library does, or in `otherwise`."""
    after = failure.after if isinstance(failure, ErrorResponse) else 0
    return random.uniform(after, 1.5 * after) if after else random.uniform(*otherwise)


class Pool:
    """Kept connections to one port; as many as there are questions at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises `ErrorResponse` for an error, another `OSError` where nobody answers."""
        while self._idle and self._idle[-1].closed:
            self._idle.pop()
        line = self._idle.pop() if self._idle else await Connection.to(self._port)
        body = await line.ask(request)
        self._idle.append(line)
        if line.status >= 400:
            raise ErrorResponse(line.status, body)
        return body

    def close(self) -> None:
        """Ends all of them."""
        for line in self._idle:
            line.close()
        self._idle.clear()


class Backend:
    """What all people share: the way to the origin and the API, sessions by user, and who listens."""

    def __init__(self, connection_info: ConnectionInfo, on_reply: OnReply) -> None:
        gc_tuning.tune_gc()  # thousands of people are many objects: a full look would make all of them late at once
        self.on_reply = on_reply
        self.counters: Counter[str] = Counter()
        """Polls answered with something, bytes heard, troubles, sessions."""
        self.origin_port = int(connection_info.origin.rpartition(":")[2])
        self.origin = Pool(self.origin_port)
        self.api = Pool(int(connection_info.api.rpartition(":")[2]))
        self._settings = connection_info.settings
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[str, str] = {}

    async def session(self, user: str, fresh: bool) -> Session:
        """The user's session; `fresh` as an app that was just started, which has none."""
        if fresh or user not in self._sessions:
            self._sessions[user] = Session.of(json.loads(await self.call("POST", "/v1/session", user)))
            self.counters["sessions"] += 1
        return self._sessions[user]

    async def call(self, method: str, path: str, user: str) -> bytes:
        """One call of the API in the user's name."""
        token = self._tokens.get(user) or mint(self._settings, user, time.time(), TOKEN_SECONDS)
        self._tokens[user] = token
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        return await self.api.ask(f"{head}Content-Length: 0\r\n\r\n".encode())

    def close(self) -> None:
        """Ends the shared connections."""
        self.origin.close()
        self.api.close()


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of one session, as bytes; a poll's cursor goes between two of them."""

    poll: bytes
    after: bytes
    heartbeat: bytes
    leave: bytes

    @classmethod
    def of(cls, session: Session) -> Requests:
        """Encoded once: they are sent thousands of times."""
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
    """One person's subscribe loop, without a task of its own: an answer sends the next request."""

    def __init__(self, client: UserClient, requests: Requests) -> None:
        super().__init__()
        self._client = client
        self._requests = requests

    def listen(self, cursor: bytes) -> None:
        """Sends the next poll."""
        answer = self.ask(self._requests.poll + cursor + self._requests.after)
        answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[bytes]) -> None:
        if answer.cancelled() or answer.exception() or self.closed or self.status != 200:
            self._client.on_closed(self)
            return
        body = answer.result()
        if not body.endswith(EMPTY):
            self._client.on_body(body)
        if not self.closed:
            self.listen(cursor(body))


def cursor(body: bytes) -> bytes:
    """The cursor of a subscribe reply, and its region as the next parameter."""
    at = body.index(b'"t":"') + 5
    end = body.index(b'"', at)
    region = body[body.index(b'"r":', end) + 4 : body.index(b"}", end)]
    return body[at:end] + b"&tr=" + region


class UserClient:
    """One user's client. It does one thing after the other: a heartbeat that overtakes its leave would be a join."""

    def __init__(self, backend: Backend, user: str) -> None:
        self.user = user
        self.heartbeat_at = 0.0
        """When the next heartbeat is due, by the monotonic clock; 0 while away."""
        self._backend = backend
        self._poll: Poll | None = None
        self._requests: Requests | None = None
        self._every = 0.0
        self._one = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether its poll is open."""
        return self._poll is not None

    async def join(self, fresh: bool = True) -> None:
        """Connect; returns once the sync is asked for. `fresh` as an app just started, which has no session.

        Raises one of `FAILURES` where it is refused or nobody answers.
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
        """Leave, and say so; the end of the poll goes ahead of it, as an app's does (uvloop closes in its next turn)."""
        async with self._one:
            self.drop()
            for _ in range(2):
                await asyncio.sleep(0)
            if self._requests:
                await self._backend.origin.ask(self._requests.leave)

    def drop(self) -> None:
        """The connection ends without a word."""
        poll, self._poll, self.heartbeat_at = self._poll, None, 0.0
        if poll:
            poll.close()
            poll.closed = True

    async def heartbeat(self) -> None:
        """A heartbeat."""
        self.heartbeat_at = time.monotonic() + self._every
        async with self._one:
            if self.connected and self._requests:
                with suppress(*FAILURES):
                    await self._backend.origin.ask(self._requests.heartbeat)

    def on_body(self, body: bytes) -> None:
        """Hands on what came."""
        self._backend.counters["replies"] += 1
        self._backend.counters["bytes"] += len(body)
        self._backend.on_reply(self.user, body, time.monotonic())

    def on_closed(self, poll: Poll) -> None:
        """A poll that ended without being asked to."""
        if poll is self._poll:
            self._backend.counters["troubles"] += 1
            self.drop()


async def send_heartbeats(clients: Mapping[Any, UserClient]) -> None:
    """Heartbeats of everybody who is here, for ever."""
    while True:
        await asyncio.sleep(0.5)
        now = time.monotonic()
        await asyncio.gather(*[one.heartbeat() for one in clients.values() if 0 < one.heartbeat_at <= now])
