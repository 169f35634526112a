"""HTTP connections with a maximum number, timeouts for slow clients, and problems for what is not HTTP.

aiohttp responds to unreadable requests in plain text, and logs them with the beginning of the offending header, which
may be a token. Here they get a problem, and one log line without their content. A client whose headers arrive slowly
is cut after HEADER_TIMEOUT_SECONDS, where aiohttp would wait for an hour; one that does not read its responses, after
BODY_TIMEOUT_SECONDS; and a connection beyond MAX_CONNECTIONS gets 503.
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
"""Of a request line or one header, for the parser. MAX_HEADER_BYTES is smaller and refuses with its name."""

TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 0)
"""Socket option, in milliseconds: Linux ends a connection whose peer reads nothing (RFC 5482). Elsewhere only
MAX_CONNECTIONS bounds such connections."""

log = structlog.get_logger(__name__)


TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
"""The response to a connection beyond the maximum."""


@dataclass(slots=True, kw_only=True)
class ConnectionLimit:
    """Limits and the number of open connections, shared by all connections of a process."""

    header_timeout_seconds: float
    reader_timeout_seconds: float
    """How long a client may read nothing of what it is sent."""
    max_connections: int
    open: int = 0


class Connection(web.RequestHandler):
    """One connection, with a timeout for headers and a problem for what is not HTTP."""

    __slots__ = ("_counted", "_header_timer", "_limit", "_requests")

    def __init__(
        self, *, limit: ConnectionLimit, server: web.Server, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(server, loop=loop, max_line_size=MAX_LINE_BYTES, max_field_size=MAX_LINE_BYTES)
        self._limit = limit
        self._counted = False
        self._requests = 0
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or respond 503 and close it."""
        if self._limit.open >= self._limit.max_connections:
            metrics.CUT.labels("too many").inc()
            self.close()
            cast(asyncio.Transport, transport).write(TOO_MANY_CONNECTIONS)
            transport.close()
            return
        self._limit.open += 1
        self._counted = True
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if connected is not None and TCP_USER_TIMEOUT:
            connected.setsockopt(
                socket.IPPROTO_TCP, TCP_USER_TIMEOUT, int(self._limit.reader_timeout_seconds * 1000)
            )
        self._start_header_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the place of the connection."""
        self._limit.open -= self._counted
        self._counted = False
        self._stop_header_timer()
        if isinstance(exc, TimeoutError):
            metrics.CUT.labels("slow reader").inc()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Time the headers of each request, from its first byte to their end."""
        super().data_received(data)
        if self._request_count != self._requests:
            self._requests = self._request_count
            self._stop_header_timer()
        elif self._header_timer is None and self._current_request is None and not self._messages:
            self._start_header_timer()

    def _start_header_timer(self) -> None:
        self._header_timer = asyncio.get_running_loop().call_later(
            self._limit.header_timeout_seconds, self._cut
        )

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _cut(self) -> None:
        self._header_timer = None
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
            log.error("http.connection.failed", error=type(exc).__name__)
            if request.writer.output_size:
                raise ConnectionError("a response has begun already")
        response = problems.response(_unreadable(status, exc), request_id := secrets.token_hex(8))
        log.info(
            "http.request.unreadable", status=response.status, error=type(exc).__name__, request_id=request_id
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
    """Runs an application on such connections."""

    __slots__ = ("_limit",)

    def __init__(self, *, app: web.Application, settings: Settings) -> None:
        super().__init__(app, shutdown_timeout=settings.grace_seconds)
        self._limit = ConnectionLimit(
            header_timeout_seconds=HEADER_TIMEOUT_SECONDS,
            reader_timeout_seconds=BODY_TIMEOUT_SECONDS,
            max_connections=settings.max_connections,
        )

    @property
    def server(self) -> web.Server | None:
        """The application's server as a factory of our connections."""
        server = super().server
        if server is None:
            return None
        loop = asyncio.get_running_loop()

        def connection() -> Connection:
            return Connection(limit=self._limit, server=server, loop=loop)

        return cast(web.Server, connection)
