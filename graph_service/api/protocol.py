"""What cannot even be read as HTTP, answered as a problem. Knows aiohttp's connection; knows no application.

aiohttp answers such requests by itself, in plain text, and logs them with the beginning of the offending header,
which may be a token. Here they get a problem, and one log line without their content.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import cast

import structlog
from aiohttp import http_exceptions, web

from graph_service.api import problems
from graph_service.errors import FriendsError

LONGEST_LINE = 64 * 1024
"""Bytes that a request line or one header may have at all; MAX_HEADER_BYTES is usually refused before, by its name."""

log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """One connection; only its answer to the unreadable is ours."""

    __slots__ = ()

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
        return problems.HeadersTooLarge(limit=LONGEST_LINE)
    if status < 500:
        return problems.Malformed(reason="it is not HTTP/1.1")
    return problems.Internal()


class Runner(web.AppRunner):
    """Runs an application with such connections."""

    __slots__ = ()

    @property
    def server(self) -> web.Server | None:
        """What makes a connection: the application's server, with our kind of connection."""
        server = super().server
        if server is None:
            return None
        loop = asyncio.get_running_loop()

        def connection() -> Connection:
            return Connection(server, loop=loop, max_line_size=LONGEST_LINE, max_field_size=LONGEST_LINE)

        return cast(web.Server, connection)
