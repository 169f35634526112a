"""The origin's composition: its keysets, one clock, and the one handler of all requests.

Each family of endpoints is a module with `ROUTES: list[web.RouteDef]`, whose patterns `router` explains. A pattern with
`{sub}` belongs to a keyset: its handler gets a `Call` as `request[CALL]` with `.keyset`, `.uuid`, `.auth`, `.query`,
`.now`, and reads parts of the path undecoded from `.raw`, or by `.name("uuid")` and `.names("channels")`; never from
`match_info`. A handler checks `permission.allowed(call, operations.needs(...))` before it acts, notifies subscribers
with `call.keyset.publish(Envelope(...))`, calls `call.keyset.group_changed(group)` after a change of a group, and
responds with `reply.reply(body, status, Family...)`. To serve one more family, add its module to `FAMILIES`.

Unknown keys, faults, preflight and unserved paths are handled here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from local_stack.origin import publish
from local_stack.origin.call import CALL, PARTS, Call, parsed_query
from local_stack.origin.clock import Clock
from local_stack.origin.fast_lane import Lanes
from local_stack.origin.faults import Fault
from local_stack.origin.keyset import Keyset
from local_stack.origin.reply import PREFLIGHT, refused, reply, unknown_key, uri_too_long
from local_stack.origin.router import Handler, Names, NoRoute, Router
from local_stack.origin.settings import KeysetSettings
from local_stack.origin.snapshot import Snapshot

FAMILIES = (
    "subscribe",
    "publish",
    "presence_api",
    "groups_api",
    "history_api",
    "actions_api",
    "objects_api",
    "access_api",
    "unserved",
)
MAX_URI_BYTES = 32 * 1024
MAX_BODY_BYTES = 1 << 20
TICK_SECONDS = 0.02
ACCEPT_BACKLOG = 4096
"""Connections that wait to be accepted; Linux's default limit."""
ACCEPTS_PER_TURN = 16
"""Listening handles of one socket: uvloop accepts one connection per handle and turn, and thousands come at once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of an origin. `port` 0 takes a free one; `control` serves `/_control/`."""

    host: str = "127.0.0.1"
    port: int = 0
    publish_key: str = "demo"
    subscribe_key: str = "demo"
    secret_key: str = "sec"  # noqa: S105 - the documented key of a test double
    settings: KeysetSettings = field(default_factory=KeysetSettings)
    control: bool = False
    tls: ssl.SSLContext | None = None


class Origin:
    """All keysets, their shared clock, and the handler of all requests."""

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.keysets: dict[str, Keyset] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.errors = 0
        """Requests that failed because of a defect in the origin; zero unless it has one."""
        self.add(options.publish_key, options.subscribe_key, options.secret_key, options.settings)
        self._router = Router(_routes(options.control))

    def add(
        self, publish_key: str, subscribe_key: str, secret_key: str, settings: KeysetSettings | None = None
    ) -> Keyset:
        """Add a keyset, replacing one of the same subscribe key."""
        keyset = Keyset(
            publish_key=publish_key,
            subscribe_key=subscribe_key,
            secret_key=secret_key,
            clock=self.clock,
            settings=settings or KeysetSettings(),
        )
        self.keysets[subscribe_key] = keyset
        return keyset

    def tick(self) -> None:
        """Process everything that is due."""
        now = self.clock.now
        for keyset in self.keysets.values():
            keyset.tick(now)

    def move(self, until: float) -> None:
        """Move the clock to `until` (Unix seconds), stopping at each due moment, so that everything happens on time."""
        while True:
            dues = (keyset.due() for keyset in self.keysets.values())
            due = min((at for at in dues if at is not None), default=until)
            if due >= until:
                break
            self.clock.set(max(due, self.clock.now))
            self.tick()
        self.clock.set(until)
        self.tick()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Respond to any request, in the shape of its family; never with a 500."""
        try:
            return await self._handled(request)
        except asyncio.CancelledError:
            raise
        except web.HTTPException as error:
            return refused(error.reason, "Balancer", error.status)
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
            return refused("Malformed request body", "Balancer")
        except Exception:  # noqa: BLE001 - one defect must not end a test's origin
            self.errors += 1
            _log.exception("origin.request.failed", method=request.method, path=request.path)
            return refused("The origin failed to process this request", "Balancer", 400)

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        target = request.raw_path
        if len(target) > MAX_URI_BYTES:
            return uri_too_long()
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(headers=PREFLIGHT)
        path, _, query = target.partition("?")
        try:
            handler, parts = self._router.match(request.method, path)
        except NoRoute as error:
            return _no_route(error)
        if "sub" not in parts:
            request[ORIGIN], request[PARTS] = self, parts
            request[publish.CLOCK] = self.clock
            return await handler(request)
        return await self._called(request, handler, parts, query)

    async def _called(
        self, request: web.Request, handler: Handler, parts: Names, query: str
    ) -> web.StreamResponse:
        """Handle a request to a keyset, unless the key is unknown or a fault applies."""
        keyset = self.keysets.get(parts["sub"])
        if keyset is None:
            return unknown_key()
        if keyset.faults.rules:
            fault = keyset.faults.of_call(request.raw_path)
            if fault is not None and (spoiled := await _apply_fault(request, fault)) is not None:
                return spoiled
        pairs = parsed_query(query)
        request[CALL] = Call(
            keyset, self.clock.now, request.method, request.raw_path, parts, pairs, dict(pairs), request
        )
        return await handler(request)


ORIGIN: web.RequestKey[Origin] = web.RequestKey("origin.origin", Origin)
"""The origin, for requests that belong to no keyset."""


@dataclass(slots=True)
class Running:
    """A started origin: its port, and `close`."""

    origin: Origin
    host: str
    port: int
    _listening: list[asyncio.Server]
    _lanes: Lanes
    _ticker: asyncio.Task[None]

    async def close(self) -> None:
        """Stop listening and end the open polls."""
        self._ticker.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticker
        for keyset in self.origin.keysets.values():
            await keyset.webhooks.close()
        for one in self._listening:
            one.close()
        await self._lanes.close()


async def start(options: Options | None = None, clock: Clock | None = None) -> Running:
    """Start an origin in the running loop."""
    options = options or Options()
    origin = Origin(options, clock)
    server = web.Server(
        origin.handle,  # type: ignore[arg-type]
        request_factory=_request,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,  # a deflated body has or lacks a zlib header
        keepalive_timeout=3600.0,
        max_line_size=1 << 20,
        max_field_size=1 << 16,
    )
    lanes = Lanes(origin, server)
    loop, family = asyncio.get_running_loop(), socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family, backlog=ACCEPT_BACKLOG) as here:
        port = here.getsockname()[1]
        listening = [
            await loop.create_server(lanes.open, sock=here.dup(), ssl=options.tls, backlog=ACCEPT_BACKLOG)
            for _ in range(ACCEPTS_PER_TURN)
        ]
    ticker = asyncio.create_task(_tick(origin), name="origin-clock")
    return Running(
        origin=origin, host=options.host, port=port, _listening=listening, _lanes=lanes, _ticker=ticker
    )


async def _tick(origin: Origin) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            origin.tick()
        except Exception:  # noqa: BLE001 - the clock must continue
            origin.errors += 1
            _log.exception("origin.tick.failed")


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.Request:
    """Build a request as aiohttp's application does; its argument types are private."""
    return web.Request(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=MAX_BODY_BYTES
    )


def _routes(control: bool) -> list[web.RouteDef]:
    names = [*FAMILIES, "control"] if control else FAMILIES
    modules = [f"{__package__}.{name}" for name in names]
    return [route for module in modules if find_spec(module) for route in import_module(module).ROUTES]


def _no_route(error: NoRoute) -> web.Response:
    if error.allowed:
        body = {"message": "Method Not Allowed", "error": True, "service": "Balancer", "status": 405}
        return reply(body, 405, more={"Allow": ", ".join(error.allowed)})
    return refused("Not Found", "Balancer", 404)


async def _apply_fault(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    """Apply a fault; None where the request is handled afterwards."""
    if fault.kind == "reset":
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError
    if fault.kind == "stall":
        await asyncio.Event().wait()
    if fault.kind == "slow":
        await asyncio.sleep(fault.delay_ms / 1000)
        return None
    more: Mapping[str, str] = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    message = "Too Many Requests" if fault.status == 429 else "Service Unavailable"
    body = {"message": message, "error": True, "service": "Balancer", "status": fault.status}
    return reply(body, fault.status, more=more)
