"""A PubNub that takes publishes and tells what arrived: how many messages, how many news in them, how late each was.

Knows just enough HTTP to cost less than what it measures. A change carries its own time in its event id, so lateness
needs no book-keeping. Polls stay open, Here Now is refused: presence comes by the log here, not by the wire.
"""

from __future__ import annotations

import asyncio
import re
import time

from hdrh.histogram import HdrHistogram

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nContent-Length: "
_SENT = _OK + b'30\r\n\r\n[1,"Sent","17000000000000000"]'
_REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = b"content-length:"
_NEWS = b"evt_presence_"
_AT = re.compile(rb"evt_presence_[a-z0-9-]+_(\d+)")
SAMPLED = 16
"""Every so many reads are looked at for lateness."""
LONGEST = 600_000


class Stub:
    """What all its connections share."""

    def __init__(self, hold_ms: int = 0) -> None:
        self.hold_ms = hold_ms
        self.begin()

    def begin(self) -> None:
        """Count from zero."""
        self.publishes = self.news = self.reads = 0
        self.late = HdrHistogram(1, LONGEST, 3)

    def took(self, data: bytes, publishes: int) -> None:
        """Counts what one read brought."""
        self.publishes += publishes
        self.news += data.count(_NEWS)
        self.reads += 1
        if self.reads % SAMPLED == 0:
            now = time.time_ns() // 1_000_000
            for at in _AT.findall(data):
                self.late.record_value(min(LONGEST, max(1, now - int(at) - self.hold_ms)))

    async def serve(self) -> tuple[asyncio.Server, int]:
        """Listens on a free port of this machine."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        return server, server.sockets[0].getsockname()[1]


class _Connection(asyncio.Protocol):
    """One client: whole requests in, as many answers out."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        buffer, published, answers = self._buffer + data, 0, []
        start = 0
        while (end := _end(buffer, start)) is not None:
            if buffer.startswith(b"POST /publish/", start):
                published += 1
                answers.append(_SENT)
            elif not buffer.startswith(b"GET /v2/subscribe/", start):
                answers.append(_time() if buffer.startswith(b"GET /time/", start) else _REFUSED)
            start = end
        self._buffer = buffer[start:]
        self._stub.took(buffer[:start], published)
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))


def _time() -> bytes:
    told = b"[%d]" % (time.time_ns() // 100)
    return _OK + b"%d\r\n\r\n" % len(told) + told


def _end(buffer: bytes, start: int) -> int | None:
    """Where the request that begins at `start` ends, None while it is not all there."""
    head = buffer.find(b"\r\n\r\n", start)
    if head < 0:
        return None
    lower = buffer[start:head].lower()
    at = lower.find(_LENGTH)
    if at < 0:
        return head + 4
    end = head + 4 + int(lower[at + len(_LENGTH) :].split(b"\r", 1)[0])
    return end if len(buffer) >= end else None
