"""Pipelined HTTP/1.1 connections for many small calls, each at a fifth of a general client's cost. Knows HTTP only.

Several calls are in flight on one connection and their responses come in the same order (RFC 9112, 9.3.2), so only
calls that may be repeated belong here. A response's body has a length, is chunked, or ends with the connection.
Decision 16 compares the parser with httptools.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

REQUEST_TIMEOUT_SECONDS = 10.0
"""From sending a request to the end of its response; also to open a connection (the SDKs' own timeout)."""
WATCH_INTERVAL_SECONDS = 1.0
MAX_RESPONSE_BYTES = 1 << 20


class NoResponse(Exception):
    """The connection ended, or the time was up, before the response was complete."""


class ResponseTimeout(NoResponse):
    """The response was not complete in time."""


class InvalidResponse(NoResponse):
    """What was received is no HTTP response."""


class HttpResponse(NamedTuple):
    """One response; header names in lower case. The headers are shared between responses: never change them."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class _Head:
    """The start of a response, as far as it is needed to read the body; a body without a length has None."""

    status: int
    headers: Mapping[str, str]
    length: int | None
    chunked: bool
    closes: bool


_NO_HEAD = _Head(status=0, headers={}, length=None, chunked=False, closes=False)


class PipelinedConnection(asyncio.Protocol):
    """One connection. The requests of one turn of the event loop leave in one write."""

    def __init__(self, *, has_room: Callable[[PipelinedConnection], None]) -> None:
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._in_flight: deque[tuple[asyncio.Future[HttpResponse], float]] = deque()
        self._out: list[bytes] = []
        self._buffer = b""
        self._at = 0
        """How much of the buffer is parsed."""
        self._head: _Head | None = None
        self._last: tuple[bytes, _Head] = (b"", _NO_HEAD)
        self.open = False
        self.full = False
        """Set by the pool: `has_room` is called at the next response."""

    @property
    def load(self) -> int:
        """Calls in flight."""
        return len(self._in_flight)

    @property
    def oldest(self) -> float:
        """When the oldest call in flight began, in monotonic seconds; infinity for none."""
        return self._in_flight[0][1] if self._in_flight else float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.open = True

    def call(self, request: bytes) -> asyncio.Future[HttpResponse]:
        """Send a request. The future fails with `NoResponse`."""
        future: asyncio.Future[HttpResponse] = self._loop.create_future()
        self._in_flight.append((future, time.monotonic()))
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(request)
        return future

    def data_received(self, data: bytes) -> None:
        """Part of a response, or several."""
        self._buffer = self._buffer + data if self._buffer else data
        try:
            while self._in_flight and (response := self._next_response()) is not None:
                self._finish(response)
        except ValueError as error:
            self.abort(InvalidResponse(str(error)))
        self._buffer = self._buffer[self._at :]
        self._at = 0
        # Left in the buffer, it would be taken for the response to the next call.
        if self._buffer and not self._in_flight:
            self.abort(InvalidResponse("a response without a request"))

    def connection_lost(self, error: Exception | None) -> None:
        """A response without a length is complete; every other one in flight is not."""
        self.open = False
        head = self._head
        if self._in_flight and head is not None and head.length is None and not head.chunked:
            self._finish(HttpResponse(head.status, head.headers, self._buffer))
        self.abort(NoResponse(str(error) if error else "the connection was closed"))

    def abort(self, error: NoResponse) -> None:
        """Fail the calls in flight and close the connection."""
        self.close()
        while self._in_flight:
            future, _ = self._in_flight.popleft()
            if not future.done():
                future.set_exception(error)
        if self.full:
            self._has_room(self)

    def close(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None and self.open:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _next_response(self) -> HttpResponse | None:
        """The next response, once all of it is received; it counts as parsed."""
        head = self._head or self._next_head()
        if head is None:
            return None
        buffer, at, length = self._buffer, self._at, head.length
        if head.chunked:
            body, self._at = _dechunk(buffer, at)
            if body is not None:
                return HttpResponse(head.status, head.headers, body)
        elif length is not None and len(buffer) >= at + length:
            self._at = at + length
            return HttpResponse(head.status, head.headers, buffer[at : at + length])
        _check_size(buffer)
        return None

    def _next_head(self) -> _Head | None:
        """The head at this position of the buffer, once all of it is received; interim responses (1xx) are skipped."""
        end = self._buffer.find(b"\r\n\r\n", self._at)
        if end < 0:
            _check_size(self._buffer)
            return None
        received = self._buffer[self._at : end]
        self._at = end + 4
        # Nearly all heads repeat the one before, so comparing bytes costs less than any parser.
        if received != self._last[0]:
            self._last = (received, _parse_head(received))
        self._head = self._last[1]
        if 100 <= self._head.status < 200:
            self._head = None
            return self._next_head()
        return self._head

    def _finish(self, response: HttpResponse) -> None:
        closes = self._head is None or self._head.closes
        self._head = None
        future, _ = self._in_flight.popleft()
        # A cancelled caller stays in the queue until here, since its response still takes its place in the order.
        if not future.done():
            future.set_result(response)
        if closes:
            self.abort(NoResponse("the server closes the connection"))
        elif self.full:
            self._has_room(self)


def _parse_head(head: bytes) -> _Head:
    first, *lines = head.split(b"\r\n")
    if not first.startswith(b"HTTP/1."):
        raise ValueError(f"not HTTP: {first[:40]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    status = int(first[9:12])
    length = headers.get("content-length")
    empty = status in {204, 304}
    return _Head(
        status=status,
        headers=headers,
        length=0 if empty else int(length) if length else None,
        chunked="chunked" in headers.get("transfer-encoding", "").lower(),
        closes=headers.get("connection", "").lower() == "close" or first[7:8] == b"0",
    )


def _dechunk(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    """The body that begins at `at` and where it ends; None and `at` until its last chunk is received.

    Trailers are not expected.
    """
    parts: list[bytes] = []
    began = at
    while True:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None, began
        size = int(buffer[at:line].split(b";")[0], 16)
        at = line + 2 + size + 2
        if len(buffer) < at:
            return None, began
        if size == 0:
            return b"".join(parts), at
        parts.append(buffer[line + 2 : at - 2])


def _check_size(buffer: bytes) -> None:
    if len(buffer) > MAX_RESPONSE_BYTES:
        raise ValueError("the response is too large")


class ConnectionPool:
    """Connections to one host, opened when needed and reused; each carries up to `depth` calls at a time."""

    def __init__(self, *, address: tuple[str, int], tls: ssl.SSLContext | None, depth: int = 1) -> None:
        self._host, self._port = address
        self._tls = tls
        self._depth = depth
        # A connection with room is in the first, a full one in the second, one that is being opened in neither.
        self._available: list[PipelinedConnection] = []
        self._full: set[PipelinedConnection] = set()

    async def call(self, request: bytes) -> HttpResponse:
        """Send a request and wait for its response; a connection that was closed while idle is replaced once.

        Raises:
            NoResponse: there was none, or none in time.
            OSError: no connection can be opened.
        """
        connection = self._busiest()
        if connection is not None:
            try:
                return await self._send(connection, request)
            except ResponseTimeout:
                raise
            except NoResponse:
                pass  # most likely closed while idle; only calls that may be repeated are made here
        return await self._send(await self._connect(), request)

    async def watch(self) -> None:
        """Fail calls that exceed the timeout; runs until it is cancelled."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL_SECONDS)
            limit = time.monotonic() - REQUEST_TIMEOUT_SECONDS
            for connection in [one for one in (*self._available, *self._full) if one.oldest < limit]:
                # The whole connection: the responses behind the late one cannot arrive before it.
                connection.abort(ResponseTimeout(f"no response in {REQUEST_TIMEOUT_SECONDS:.0f} s"))

    def close(self) -> None:
        for connection in (*self._available, *self._full):
            connection.close()
        self._available.clear()

    def _busiest(self) -> PipelinedConnection | None:
        """The connection that was used last and has room, so that many requests leave in one write."""
        while self._available:
            if self._available[-1].open:
                return self._available[-1]
            self._available.pop()
        return None

    def _send(self, connection: PipelinedConnection, request: bytes) -> asyncio.Future[HttpResponse]:
        future = connection.call(request)
        if not connection.full and connection.load >= self._depth:
            connection.full = True
            self._full.add(connection)
            if connection in self._available:
                self._available.remove(connection)
        return future

    def _has_room(self, connection: PipelinedConnection) -> None:
        connection.full = False
        self._full.discard(connection)
        if connection.open:
            self._available.append(connection)

    async def _connect(self) -> PipelinedConnection:
        loop = asyncio.get_running_loop()
        name = self._host if self._tls else None
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            _, connection = await loop.create_connection(
                lambda: PipelinedConnection(has_room=self._has_room),
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=name,
            )
        if self._depth > 1:
            self._available.append(connection)
        return connection
