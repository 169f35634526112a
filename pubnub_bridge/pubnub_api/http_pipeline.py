"""Kept HTTP/1.1 connections for many small calls, each a fifth of the cost of a general client. Knows HTTP only.

Several calls may be under way on one connection, answered in their order (RFC 9112, 9.3.2: pipelining): only calls
that may be repeated belong here. Answers may have a length, be chunked, or end with the connection.
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
"""Seconds from sending a request to the end of its answer (the SDKs' own time-out)."""
MAX_RESPONSE_BYTES = 1 << 20


class NoResponse(Exception):
    """The connection ended, or the time was up, before the answer was complete."""


class TooLate(NoResponse):
    """The time was up."""


class Unreadable(NoResponse):
    """What came is no HTTP answer."""


class HttpResponse(NamedTuple):
    """One answer; header names in lower case, not to be changed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Head:
    """The start of an answer, as far as reading its body needs it."""

    status: int
    headers: Mapping[str, str]
    length: int | None
    chunked: bool
    closes: bool


class PipelinedConnection(asyncio.Protocol):
    """One connection. Requests of one turn of the loop leave in one write; answers come in their order."""

    def __init__(self, has_room: Callable[[PipelinedConnection], None]) -> None:
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[asyncio.Future[HttpResponse], float]] = deque()
        self._out: list[bytes] = []
        self._buffer = b""
        self._at = 0
        """How much of the buffer is read."""
        self._head: _Head | None = None
        self._last: tuple[bytes, _Head] = (b"", _Head(0, {}, None, False, False))
        self.open = False
        self.full = False
        """Set by whoever wants to be told when an answer makes room."""

    @property
    def load(self) -> int:
        """Calls under way."""
        return len(self._waiting)

    @property
    def oldest(self) -> float:
        """When the oldest call under way began, by the monotonic clock; infinity for none."""
        return self._waiting[0][1] if self._waiting else float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for calls."""
        self._transport = transport  # type: ignore[assignment]
        self.open = True

    def call(self, request: bytes) -> asyncio.Future[HttpResponse]:
        """Send a request. The future fails with `NoResponse`."""
        future: asyncio.Future[HttpResponse] = self._loop.create_future()
        self._waiting.append((future, time.monotonic()))
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(request)
        return future

    def data_received(self, data: bytes) -> None:
        """Some of an answer, or several."""
        self._buffer = self._buffer + data if self._buffer else data
        try:
            while self._waiting and (answer := self._complete()) is not None:
                self._finish(answer)
        except ValueError as error:
            self.abort(Unreadable(str(error)))
        self._buffer = self._buffer[self._at :]
        self._at = 0
        if self._buffer and not self._waiting:
            self.abort(Unreadable("an answer that nobody asked for"))

    def connection_lost(self, error: Exception | None) -> None:
        """An answer without a length ends here; every other one under way is incomplete."""
        self.open = False
        head = self._head
        if self._waiting and head is not None and head.length is None and not head.chunked:
            self._finish(HttpResponse(head.status, head.headers, self._buffer))
        self.abort(NoResponse(str(error) if error else "the connection was closed"))

    def abort(self, error: NoResponse) -> None:
        """Give up the calls under way, and the connection with them."""
        self.close()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
        if self.full:
            self._has_room(self)

    def close(self) -> None:
        """No more calls."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None and self.open:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _complete(self) -> HttpResponse | None:
        """The next answer, once all of it is there; it counts as read."""
        head = self._head or self._next_head()
        if head is None:
            return None
        buffer, at, length = self._buffer, self._at, head.length
        if head.chunked:
            body, self._at = _dechunked(buffer, at)
            if body is not None:
                return HttpResponse(head.status, head.headers, body)
        elif length is not None and len(buffer) >= at + length:
            self._at = at + length
            return HttpResponse(head.status, head.headers, buffer[at : at + length])
        _refuse_huge(buffer)
        return None

    def _next_head(self) -> _Head | None:
        """The head at this place of the buffer, once all of it is there. Most are the same as the one before."""
        end = self._buffer.find(b"\r\n\r\n", self._at)
        if end < 0:
            _refuse_huge(self._buffer)
            return None
        said = self._buffer[self._at : end]
        self._at = end + 4
        if said != self._last[0]:
            self._last = (said, _parsed(said))
        self._head = self._last[1]
        if 100 <= self._head.status < 200:
            self._head = None
            return self._next_head()
        return self._head

    def _finish(self, answer: HttpResponse) -> None:
        closes = self._head is None or self._head.closes
        self._head = None
        future, _ = self._waiting.popleft()
        if not future.done():
            future.set_result(answer)
        if closes:
            self.abort(NoResponse("the server closes the connection"))
        elif self.full:
            self._has_room(self)


def _parsed(head: bytes) -> _Head:
    first, *lines = head.split(b"\r\n")
    if not first.startswith(b"HTTP/1."):
        raise ValueError(f"not HTTP: {first[:40]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    status = int(first[9:12])
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    length = headers.get("content-length")
    empty = status in {204, 304}
    closes = headers.get("connection", "").lower() == "close" or first[7:8] == b"0"
    return _Head(status, headers, 0 if empty else int(length) if length else None, chunked, closes)


def _dechunked(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    """The body that begins at this place, once its last chunk is there, and where it ends. Trailers are not expected."""
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


def _refuse_huge(buffer: bytes) -> None:
    if len(buffer) > MAX_RESPONSE_BYTES:
        raise ValueError("the answer is too large")


class ConnectionPool:
    """Connections to one host, opened when needed and kept; each carries up to `depth` calls at a time."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, depth: int = 1) -> None:
        self._host, self._port = address
        self._tls = tls
        self._depth = depth
        self._roomy: list[PipelinedConnection] = []
        self._full: set[PipelinedConnection] = set()

    async def call(self, request: bytes) -> HttpResponse:
        """Send a request and wait for its answer; a connection that was closed meanwhile is replaced once.

        Raises:
            NoAnswer: there was none in time.
            OSError: no connection can be had.
        """
        wire = self._free()
        if wire is not None:
            try:
                return await self._sent(wire, request)
            except TooLate:
                raise
            except NoResponse:
                pass
        return await self._sent(await self._connected(), request)

    async def watch(self) -> None:
        """Give up calls whose time is over, for ever."""
        while True:
            await asyncio.sleep(1.0)
            late = time.monotonic() - REQUEST_TIMEOUT_SECONDS
            for wire in [wire for wire in (*self._roomy, *self._full) if wire.oldest < late]:
                wire.abort(TooLate(f"no answer in {REQUEST_TIMEOUT_SECONDS:.0f} s"))

    def close(self) -> None:
        """Close every connection."""
        for wire in (*self._roomy, *self._full):
            wire.close()
        self._roomy.clear()

    def _free(self) -> PipelinedConnection | None:
        """The busiest connection that has room, so that many requests leave in one write."""
        while self._roomy:
            if self._roomy[-1].open:
                return self._roomy[-1]
            self._roomy.pop()
        return None

    def _sent(self, wire: PipelinedConnection, request: bytes) -> asyncio.Future[HttpResponse]:
        future = wire.call(request)
        if not wire.full and wire.load >= self._depth:
            wire.full = True
            self._full.add(wire)
            if wire in self._roomy:
                self._roomy.remove(wire)
        return future

    def _has_room(self, wire: PipelinedConnection) -> None:
        wire.full = False
        self._full.discard(wire)
        if wire.open:
            self._roomy.append(wire)

    async def _connected(self) -> PipelinedConnection:
        loop = asyncio.get_running_loop()
        name = self._host if self._tls else None
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            _, wire = await loop.create_connection(
                lambda: PipelinedConnection(self._has_room),
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=name,
            )
        if self._depth > 1:
            self._roomy.append(wire)
        return wire
