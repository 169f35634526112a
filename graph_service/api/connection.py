"""What cannot even be read as HTTP, answered as a problem, or cut. Knows aiohttp's connection; knows no application.

aiohttp answers such requests by itself, in plain text, and logs them with the beginning of the offending header,
which may be a token. Here they get a problem, and one log line without their content. A sender that lets its headers
drip is cut, where aiohttp would wait for an hour; so is one that connects while there are too many.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass
from typing import cast

import structlog
from aiohttp import http_exceptions, web

from graph_service import metrics
from graph_service.api import problems
from graph_service.api.concurrency_limits import BODY_TIMEOUT_SECONDS
from graph_service.errors import FriendsError
from graph_service.settings import Settings

HEADER_TIMEOUT_SECONDS = 10.0
"""Seconds in which a request line and its headers must arrive; then the connection is cut."""
MAX_LINE_BYTES = 64 * 1024
"""Bytes that a request line or one header may have at all; MAX_HEADER_BYTES is usually refused before, by its name."""

USER_TIMEOUT_MILLISECONDS = getattr(socket, "TCP_USER_TIMEOUT", 0)
"""Linux ends a connection by it whose other end takes nothing (RFC 5482); elsewhere MAX_CONNECTIONS bounds those."""

log = structlog.get_logger(__name__)


FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""What one connection too many is told."""


@dataclass(slots=True)
class ConnectionLimit:
    """What all connections of a process share."""

    header_timeout_seconds: float
    reader_seconds: float
    """How long a client may leave what it is sent untaken."""
    most: int
    open: int = 0


class Connection(web.RequestHandler):
    """One connection: how long it may take to ask, and its answer to the unreadable."""

    __slots__ = ("_asking", "_door", "_heard", "_let_in")

    def __init__(self, door: ConnectionLimit, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, max_line_size=MAX_LINE_BYTES, max_field_size=MAX_LINE_BYTES)
        self._door = door
        self._let_in = False
        self._heard = 0
        self._asking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or tell it to come back."""
        if self._door.open >= self._door.most:
            metrics.CUT.labels("too many").inc()
            self.close()
            cast(asyncio.Transport, transport).write(FULL)
            transport.close()
            return
        self._door.open += 1
        self._let_in = True
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if connected is not None and USER_TIMEOUT_MILLISECONDS:
            connected.setsockopt(
                socket.IPPROTO_TCP, USER_TIMEOUT_MILLISECONDS, int(self._door.reader_seconds * 1000)
            )
        self._begin_asking()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        self._door.open -= self._let_in
        self._let_in = False
        self._end_asking()
        if isinstance(exc, TimeoutError):
            metrics.CUT.labels("slow reader").inc()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Measure how long a request takes to be asked, from its first byte to the end of its headers."""
        super().data_received(data)
        if self._request_count != self._heard:
            self._heard = self._request_count
            self._end_asking()
        elif self._asking is None and self._current_request is None and not self._messages:
            self._begin_asking()

    def _begin_asking(self) -> None:
        self._asking = asyncio.get_running_loop().call_later(self._door.header_timeout_seconds, self._cut)

    def _end_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _cut(self) -> None:
        self._asking = None
        if self._current_request is None and not self._messages:
            metrics.CUT.labels("slow headers").inc()
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The problem, after which the connection is closed."""
        if status >= 500 or request.writer.output_size:
            log.error("connection failed", error=type(exc).__name__)
            if request.writer.output_size:
                raise ConnectionError("an answer was begun already")
        response = problems.response(_unreadable(status, exc), request_id := secrets.token_hex(8))
        log.info(
            "unreadable request", status=response.status, error=type(exc).__name__, request_id=request_id
        )
        response.headers["X-Request-Id"] = request_id
        response.force_close()
        return response


def _unreadable(status: int, exc: BaseException | None) -> FriendsError:
    if isinstance(exc, http_exceptions.LineTooLong):
        return problems.HeadersTooLarge(limit=MAX_LINE_BYTES)
    if status < 500:
        return problems.Malformed(reason="it is not HTTP/1.1")
    return problems.Internal()


class Runner(web.AppRunner):
    """Runs an application with such connections."""

    __slots__ = ("_door",)

    def __init__(self, app: web.Application, settings: Settings) -> None:
        super().__init__(app, shutdown_timeout=settings.grace_seconds)
        self._door = ConnectionLimit(HEADER_TIMEOUT_SECONDS, BODY_TIMEOUT_SECONDS, settings.max_connections)

    @property
    def server(self) -> web.Server | None:
        """What makes a connection: the application's server, with our kind of connection."""
        server = super().server
        if server is None:
            return None
        loop = asyncio.get_running_loop()

        def connection() -> Connection:
            return Connection(self._door, server, loop)

        return cast(web.Server, connection)
