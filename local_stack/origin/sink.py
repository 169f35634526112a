"""A sink: accepts every publish and discards it, for measuring publishers and not for tests.

A minimal HTTP server that is faster than what it measures: keep-alive, pipelining, Content-Length, a fixed delay. No
keys, subscribers or presence; every request that is not a publish gets an empty object.
"""

from __future__ import annotations

import asyncio
import ssl

from local_stack.origin.clock import Clock
from local_stack.origin.reply import Family

_HEAD = (
    "HTTP/1.1 200 OK\r\n"
    f"Content-Type: {Family.MESSAGES.value[1]}\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "Content-Length: {length}\r\n\r\n"
)
_SENT = (_HEAD.format(length=len('[1,"Sent","12345678901234567"]')) + '[1,"Sent","%d"]').encode()
_OTHER = (_HEAD.format(length=2) + "{}").encode()
_LENGTH = b"\r\ncontent-length:"


class Sink:
    """State shared by the connections of one sink. `published` counts messages."""

    def __init__(self, delay_ms: float = 0.0, clock: Clock | None = None) -> None:
        self.published = 0
        self.delay_s = delay_ms / 1000
        self.clock = clock or Clock()

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(self), host, port, ssl=tls, backlog=4096)


class _Connection(asyncio.Protocol):
    """One connection: complete requests in, as many responses out."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        responses = []
        while (end := _end(buffer)) is not None:
            responses.append(self._response(buffer))
            buffer = buffer[end:]
        self._buffer = buffer
        if responses:
            self._send(b"".join(responses))

    def _response(self, request: bytes) -> bytes:
        if b"/publish/" not in request[:14] and b"/signal/" not in request[:13]:
            return _OTHER
        self._sink.published += 1
        return _SENT % self._sink.clock.timetoken()

    def _send(self, responses: bytes) -> None:
        transport, delay_s = self._transport, self._sink.delay_s
        if transport is None:
            return
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, transport.write, responses)
        else:
            transport.write(responses)


def _end(buffer: bytes) -> int | None:
    """The end of the first request, None while it is incomplete."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    if buffer.startswith(b"GET "):
        return head + 4
    at = buffer[:head].lower().find(_LENGTH)
    if at < 0:
        return head + 4
    digits = buffer[at + len(_LENGTH) : head + 2].split(b"\r", 1)[0].strip()
    end = head + 4 + (int(digits) if digits.isdigit() else 0)
    return end if len(buffer) >= end else None
