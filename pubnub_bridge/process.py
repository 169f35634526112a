"""One process: the API and the bridge, either or both, and how they start and stop together.

A task that dies stops the process with its name and exit code 1, so that its supervisor starts it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from enum import StrEnum

import structlog

from graph_service import logging, prefork, server, tracing
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.concurrency_limits import CONCURRENCY_LIMITS
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import Readiness
from graph_service.app import build_services, open_backends
from graph_service.errors import SetupError
from graph_service.settings import missing_to_serve
from pubnub_bridge.api import demo_login
from pubnub_bridge.api.erasure import erasers, exporters
from pubnub_bridge.api.routes import API_ONLY, CONTEXT, TABLES
from pubnub_bridge.api.static_files import Pages
from pubnub_bridge.runtime import bridge
from pubnub_bridge.runtime.context import BridgeContext, open_context
from pubnub_bridge.runtime.startup import synchronize_periodically, try_synchronize
from pubnub_bridge.runtime.supervisor import supervise
from pubnub_bridge.settings import Settings

CLOSE_SECONDS = 60.0
"""What a bridge may take to give its leases back, after its grace."""
_log = structlog.get_logger(__name__)


class Roles(StrEnum):
    """What one process does."""

    BOTH = "both"
    API = "api"
    BRIDGE = "bridge"


def run(settings: Settings, roles: Roles) -> int:
    """The whole life of a process; its exit code.

    Raises:
        SetupError: an option is missing, a backend cannot be used, or a task died.
    """
    logging.setup(settings.log_level, settings.log_format)
    tracing.setup(settings.traces)
    refuse_incomplete(settings, roles)
    if roles is Roles.BRIDGE:
        server.on_loop(_bridge_alone(settings))
        return 0
    main = _api_alone if roles is Roles.API else _both
    return prefork.run(settings, main)  # type: ignore[arg-type]  # the same settings come back


def refuse_incomplete(settings: Settings, roles: Roles) -> None:
    """Names every option that this role cannot do without.

    Raises:
        SetupError: one is missing.
    """
    missing = missing_to_serve(settings) if roles is not Roles.BRIDGE else []
    if roles is not Roles.API:
        keys = {
            "PUBNUB_SUBSCRIBE_KEY": settings.pubnub_subscribe_key,
            "PUBNUB_PUBLISH_KEY": settings.pubnub_publish_key,
        }
        missing += [f"{name} must be set" for name, value in keys.items() if not value]
    if missing:
        raise SetupError(what="; ".join(missing), todo="Set it and start again")


async def _api_alone(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        context = await _context(settings, stack)
        await try_synchronize(context)
        readiness = await _http(context, stack, API_ONLY)
        await supervise(
            {"PubNub's time": synchronize_periodically(context), "new users": context.new_users.run()},
            stop=server.until_stopped(settings, readiness),
        )


async def _bridge_alone(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        context = await _context(settings, stack)
        await supervise(
            {"bridge": bridge.on(context)},
            stop=server.until_stopped(settings, Readiness()),
            cancel_seconds=settings.grace_seconds + CLOSE_SECONDS,
        )


async def _both(settings: Settings) -> None:
    """PubNub may be away at the start: the API serves, and the bridge begins when PubNub answers."""
    async with AsyncExitStack() as stack:
        context = await _context(settings, stack)
        await try_synchronize(context)
        readiness = await _http(context, stack, TABLES)
        await supervise(
            {"bridge": bridge.on(context), "new users": context.new_users.run()},
            stop=server.until_stopped(settings, readiness),
            cancel_seconds=settings.grace_seconds + CLOSE_SECONDS,
        )


async def _context(settings: Settings, stack: AsyncExitStack) -> BridgeContext:
    """Opens backends and context, which routes and bridge share."""
    opened = await stack.enter_async_context(open_backends(settings))
    return await stack.enter_async_context(open_context(settings, opened))


async def _http(context: BridgeContext, stack: AsyncExitStack, tables: Sequence[TypedRoutes]) -> Readiness:
    """Opens the authenticator and the port."""
    settings = context.settings
    services = build_services(
        settings, context.backends, erasers(context), context.new_users.created, exporters(context)
    )
    authenticator = await stack.enter_async_context(
        open_authenticator(settings, context.backends.valkey.clustered)
    )
    demo = (demo_login.routes,) if settings.demo_login else ()
    app = build_app(settings, services, authenticator, (*tables, *demo))
    app[CONTEXT] = context
    app[CONCURRENCY_LIMITS].build("webhook", settings.max_concurrent_webhooks)
    Pages(settings=settings).mount(app)
    address = await stack.enter_async_context(server.listening(app, settings))
    _log.info("process.http.listening", address=address.url)
    return services.readiness
