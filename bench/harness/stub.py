"""A stub of PubNub that acknowledges publishes and counts messages, notifications in them, and their lateness.

Parses just enough HTTP to cost less than what it measures. The event id of a change contains its time. Polls stay open and
Here Now is rejected, because presence comes from the log here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from hdrh.histogram import HdrHistogram

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nContent-Length: "
_SENT = _OK + b'30\r\n\r\n[1,"Sent","17000000000000000"]'
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = b"content-length:"
_PUBLISH = b"POST /publish/"
_PUBLISHES = (_PUBLISH, b"GET /publish/")
_EVENT_ID_PREFIX = b"evt_presence_"
_AT = re.compile(rb"evt_presence_[a-z0-9-]+_(\d+)")
SAMPLED = 16
"""Lateness is measured in one of so many reads."""
MAX_AGE_MILLISECONDS = 600_000


def stub_options(port: int) -> dict[str, str]:
    """Settings of a service that has the stub at `port` for PubNub."""
    return {
        "pubnub_origin": f"127.0.0.1:{port}",
        "pubnub_tls": "false",
        "pubnub_subscribe_key": "demo",
        "pubnub_publish_key": "demo",
        "access_manager": "off",
        "app_context": "off",
        "accuracy_sample": "0",
    }


class Stub:
    """State shared by all connections."""

    def __init__(self, debounce_ms: int = 0, delay_s: float = 0.0) -> None:
        self.debounce_ms = debounce_ms
        self.delay_s = delay_s
        """Seconds from a request to its response, to simulate a distance."""
        self.window_ms = 0
        self.begin()

    def begin(self) -> None:
        """Reset all counters."""
        self.publishes = self.notifications = self.reads = 0
        self.late = HdrHistogram(1, MAX_AGE_MILLISECONDS, 3)
        """Milliseconds of every change beyond the debounce time."""
        self.beyond = HdrHistogram(1, MAX_AGE_MILLISECONDS, 3)
        """Milliseconds of the oldest change in a message, which waited for the whole window, beyond debounce time and window."""

    def took(self, data: bytes, publishes: int) -> None:
        """Count the requests of one read."""
        self.publishes += publishes
        self.notifications += data.count(_EVENT_ID_PREFIX)
        self.reads += 1
        if self.reads % SAMPLED == 0:
            self._sample(data, time.time_ns() // 1_000_000 - self.debounce_ms)

    def _sample(self, data: bytes, due: int) -> None:
        for message in data.split(_PUBLISH)[1:]:
            waited = [due - int(at) for at in _AT.findall(message)]
            for late in waited:
                self.late.record_value(_within(late))
            if waited:
                self.beyond.record_value(_within(max(waited) - self.window_ms))

    async def serve(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.Server, int]:
        """Listen on a free port of this machine."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024, ssl=tls)
        return server, server.sockets[0].getsockname()[1]


class _Connection(asyncio.Protocol):
    """One client connection: complete requests in, as many responses out."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        buffer, published, responses = self._buffer + data, 0, []
        start = 0
        while (end := _end(buffer, start)) is not None:
            if buffer.startswith(_PUBLISHES, start):
                published += 1
                responses.append(_SENT)
            elif not buffer.startswith(b"GET /v2/subscribe/", start):
                responses.append(_time() if buffer.startswith(b"GET /time/", start) else _UNAVAILABLE)
            start = end
        self._buffer = buffer[start:]
        self._stub.took(buffer[:start], published)
        if responses:
            self._respond(b"".join(responses))

    def _respond(self, data: bytes) -> None:
        assert self._transport is not None
        if self._stub.delay_s:
            asyncio.get_running_loop().call_later(self._stub.delay_s, self._transport.write, data)
        else:
            self._transport.write(data)


def _within(ms: int) -> int:
    return min(MAX_AGE_MILLISECONDS, max(1, ms))


def _time() -> bytes:
    body = b"[%d]" % (time.time_ns() // 100)
    return _OK + b"%d\r\n\r\n" % len(body) + body


def _end(buffer: bytes, start: int) -> int | None:
    """The end of the request that begins at `start`, None while it is incomplete."""
    head = buffer.find(b"\r\n\r\n", start)
    if head < 0:
        return None
    lower = buffer[start:head].lower()
    at = lower.find(_LENGTH)
    if at < 0:
        return head + 4
    end = head + 4 + int(lower[at + len(_LENGTH) :].split(b"\r", 1)[0])
    return end if len(buffer) >= end else None


async def _serve(stub: Stub, tls: ssl.SSLContext | None) -> None:
    server, port = await stub.serve(tls)
    print(port, flush=True)
    await server.serve_forever()


def main(
    delay_ms: Annotated[float, typer.Option(help="Milliseconds from a request to its response.")] = 0.0,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file with certificate and key: serve TLS.")
    ] = None,
) -> None:
    """Serve on a free port, which is printed, until the process is ended."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    uvloop.run(_serve(Stub(delay_s=delay_ms / 1000), tls))


if __name__ == "__main__":
    typer.run(main)
