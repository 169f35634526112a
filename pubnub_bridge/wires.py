"""Kept HTTP/1.1 connections for many small calls, each a fifth of the cost of a general client. Knows HTTP only.

Several calls may be under way on one connection, answered in their order (RFC 9112, 9.3.2: pipelining): only calls
that may be repeated belong here. Answers may have a length, be chunked, or end with the connection.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from dataclasses import dataclass

TIMEOUT = 10.0
"""Seconds from sending a request to the end of its answer (the SDKs' own time-out)."""
LARGEST_ANSWER = 1 << 20


class NoAnswer(Exception):
    """The connection ended, or the time was up, before the answer was complete."""


class TooLate(NoAnswer):
    """The time was up."""


class Unreadable(NoAnswer):
    """What came is no HTTP answer."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Head:
    """The start of an answer, as far as reading its body needs it."""

    status: int
    headers: dict[str, str]
    length: int | None
    chunked: bool
    closes: bool


class Wire(asyncio.Protocol):
    """One connection. Requests of one turn of the loop leave in one write; answers come in their order."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[asyncio.Future[HttpAnswer], float]] = deque()
        self._out: list[bytes] = []
        self._buffer = b""
        self._head: _Head | None = None
        self.open = False

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

    def call(self, request: bytes) -> asyncio.Future[HttpAnswer]:
        """Send a request. The future fails with `NoAnswer`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[HttpAnswer] = loop.create_future()
        self._waiting.append((future, time.monotonic()))
        if not self._out:
            loop.call_soon(self._flush)
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

    def connection_lost(self, error: Exception | None) -> None:
        """An answer without a length ends here; every other one under way is incomplete."""
        self.open = False
        head = self._head
        if self._waiting and head is not None and head.length is None and not head.chunked:
            self._finish(HttpAnswer(head.status, head.headers, self._buffer))
        self.abort(NoAnswer(str(error) if error else "the connection was closed"))

    def abort(self, error: NoAnswer) -> None:
        """Give up the calls under way, and the connection with them."""
        self.close()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)

    def close(self) -> None:
        """No more calls."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None and self.open:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _complete(self) -> HttpAnswer | None:
        """The next answer, once all of it is there; it is taken off the buffer."""
        head = self._head
        if head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                _refuse_huge(self._buffer)
                return None
            head = _parsed(self._buffer[:end])
            self._buffer = self._buffer[end + 4 :]
            if 100 <= head.status < 200:
                return self._complete()
            self._head = head
        _refuse_huge(self._buffer)
        found = _dechunked(self._buffer) if head.chunked else _measured(self._buffer, head.length)
        if found is None:
            return None
        body, used = found
        self._buffer = self._buffer[used:]
        return HttpAnswer(head.status, head.headers, body)

    def _finish(self, answer: HttpAnswer) -> None:
        closes = self._head is None or self._head.closes
        self._head = None
        future, _ = self._waiting.popleft()
        if not future.done():
            future.set_result(answer)
        if closes:
            self.abort(NoAnswer("the server closes the connection"))


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


def _measured(buffer: bytes, length: int | None) -> tuple[bytes, int] | None:
    return (buffer[:length], length) if length is not None and len(buffer) >= length else None


def _dechunked(buffer: bytes) -> tuple[bytes, int] | None:
    """The body and how much of the buffer it took, once the last chunk is there. Trailers are not expected."""
    parts: list[bytes] = []
    at = 0
    while True:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(buffer[at:line].split(b";")[0], 16)
        at = line + 2 + size + 2
        if len(buffer) < at:
            return None
        if size == 0:
            return b"".join(parts), at
        parts.append(buffer[line + 2 : at - 2])


def _refuse_huge(buffer: bytes) -> None:
    if len(buffer) > LARGEST_ANSWER:
        raise ValueError("the answer is too large")


class Wires:
    """Connections to one host, opened when needed and kept; each carries up to `depth` calls at a time."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, depth: int = 1) -> None:
        self._host, self._port = address
        self._tls = tls
        self._depth = depth
        self._roomy: list[Wire] = []
        self._full: set[Wire] = set()

    async def call(self, request: bytes) -> HttpAnswer:
        """Send a request and wait for its answer; a connection that was closed meanwhile is replaced once.

        Raises:
            NoAnswer: there was none in time.
            OSError: no connection can be had.
        """
        wire = self._free()
        if wire is not None:
            try:
                return await self._call(wire, request)
            except TooLate:
                raise
            except NoAnswer:
                pass
        return await self._call(await self._connected(), request)

    async def watch(self) -> None:
        """Give up calls whose time is over, for ever."""
        while True:
            await asyncio.sleep(1.0)
            late = time.monotonic() - TIMEOUT
            for wire in [wire for wire in (*self._roomy, *self._full) if wire.oldest < late]:
                wire.abort(TooLate(f"no answer in {TIMEOUT:.0f} s"))

    def close(self) -> None:
        """Close every connection."""
        for wire in (*self._roomy, *self._full):
            wire.close()
        self._roomy.clear()

    def _free(self) -> Wire | None:
        """The busiest connection that has room, so that many requests leave in one write."""
        while self._roomy:
            if self._roomy[-1].open:
                return self._roomy[-1]
            self._roomy.pop()
        return None

    async def _call(self, wire: Wire, request: bytes) -> HttpAnswer:
        future = wire.call(request)
        if wire.load >= self._depth and wire not in self._full:
            self._full.add(wire)
            if self._roomy and self._roomy[-1] is wire:
                self._roomy.pop()
        try:
            return await future
        finally:
            if wire in self._full:
                self._full.discard(wire)
                if wire.open:
                    self._roomy.append(wire)

    async def _connected(self) -> Wire:
        loop = asyncio.get_running_loop()
        name = self._host if self._tls else None
        async with asyncio.timeout(TIMEOUT):
            _, wire = await loop.create_connection(
                Wire, self._host, self._port, ssl=self._tls, server_hostname=name
            )
        if self._depth > 1:
            self._roomy.append(wire)
        return wire
