"""Middleware for every request: request id, header size limit, CORS, errors as problems, access log, metrics.

Metric labels and log lines carry route templates, never paths, so user ids in paths reach neither of them.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from graph_service import metrics, tracing
from graph_service.api import problems
from graph_service.api.concurrency_limits import Overloaded
from graph_service.errors import FriendsError
from graph_service.settings import Settings

MAX_HEADER_BYTES = 16 * 1024
"""Bytes of a request line and its headers together; more are answered 431."""

REQUEST_ID = web.RequestKey("request_id", str)
SHED = web.RequestKey("shed", bool)
REQUEST_ID_PATTERN = re.compile(r"[\w.\-]{1,64}", re.ASCII)
UNLOGGED = frozenset({problems.Internal.code, Overloaded.code})
"""Logged where they are raised: in a flood, load shedding must cost next to nothing."""
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""Requested every few seconds by machines: logged at debug."""
ALLOWED = {
    "Access-Control-Allow-Methods": "GET, PUT, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "600",
}

log = structlog.get_logger("graph_service.access")


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, turn errors into problems, log and measure the response."""
    started = time.perf_counter()
    request[REQUEST_ID] = request_id = _request_id(request.headers.get("X-Request-Id"))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    metrics.RUNNING.inc()
    status = 499  # as nginx: the client closed the connection before there was a response
    try:
        with tracing.serving(request.headers) as span:
            response = await _respond(request, handler)
            status = response.status
            tracing.served(span, *_labels(request), status)
    finally:
        metrics.RUNNING.dec()
        _record(request, status, time.perf_counter() - started)
    return response


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return error if error.status < 400 else _problem(request, problems.of_http(error))
    except FriendsError as error:
        return _problem(request, error)
    except Exception:
        if request.writer.output_size:
            raise  # a response that has begun cannot become a problem
        log.exception("http.request.crashed")
        return _problem(request, problems.Internal())


def _problem(request: web.Request, error: FriendsError) -> web.Response:
    if error.status >= 500 and error.code not in UNLOGGED:
        log.warning("http.request.failed", code=error.code, detail=str(error))
    request[SHED] = error.code == Overloaded.code
    structlog.contextvars.bind_contextvars(code=error.code)
    return problems.response(error, request[REQUEST_ID])


def guard(settings: Settings) -> Middleware:
    """Refuse headers that are too large; respond to the CORS preflight of allowed origins."""
    origins = frozenset(settings.cors_origins)
    max_bytes = MAX_HEADER_BYTES

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (
            len(request.raw_path) + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
            > max_bytes
        ):
            raise problems.HeadersTooLarge(limit=max_bytes)
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            if not _allowed(request.headers.get(hdrs.ORIGIN), origins):
                raise problems.OriginRefused
            return web.Response(status=204, headers=ALLOWED)
        return await handler(request)

    return guarded


def headers(settings: Settings) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """An `on_response_prepare` handler that adds the request id, and CORS headers for allowed origins."""
    origins = frozenset(settings.cors_origins)

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
        response.headers[hdrs.SERVER] = "friends-presence"  # aiohttp's default names versions
        if origins:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
            origin = request.headers.get(hdrs.ORIGIN)
            if origin and _allowed(origin, origins):
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
                response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "X-Request-Id, Retry-After"

    return add


def _allowed(origin: str | None, origins: frozenset[str]) -> bool:
    return origin is not None and (origin in origins or "*" in origins)


def _request_id(header: str | None) -> str:
    return header if header and REQUEST_ID_PATTERN.fullmatch(header) else secrets.token_hex(8)


def _labels(request: web.Request) -> tuple[str, str]:
    """Method and route template."""
    resource = request.match_info.route.resource
    return (request.method, resource.canonical) if resource else ("any", "none")


def _record(request: web.Request, status: int, seconds: float) -> None:
    method, route = _labels(request)
    metrics.REQUESTS.labels(method, route, status).observe(seconds)
    log_at = log.debug if route in QUIET or request.get(SHED) else log.info
    log_at(
        "http.request.finished",
        method=request.method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 2),
    )
