"""One process: the HTTP side and the bridge, either or both. Knows how they start and stop together.

A task that dies stops the process with its name and exit code 1, so that whoever watches the process starts it again.
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
from pubnub_bridge.runtime.supervisor import run_until_stopped
from pubnub_bridge.settings import Settings

log = structlog.get_logger(__name__)


class Roles(StrEnum):
    """What one process does."""

    BOTH = "both"
    API = "api"
    BRIDGE = "bridge"


def run(settings: Settings, roles: Roles) -> int:
    """The whole life of a process; its exit code.

    Raises:
        SetupError: an option is missing, an engine cannot be used, or a task died.
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
        context = await _side(settings, stack)
        await try_synchronize(context)
        readiness = await _http(context, stack, API_ONLY)
        stop = server.until_stopped(settings, readiness)
        beside = {"PubNub's time": synchronize_periodically(context), "newcomers": context.new_users.run()}
        await run_until_stopped({**beside, "stop": stop})


async def _bridge_alone(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        context = await _side(settings, stack)
        await run_until_stopped(
            {"bridge": bridge.on(context), "stop": server.until_stopped(settings, Readiness())}
        )


async def _both(settings: Settings) -> None:
    """PubNub may be away at the start: friends are served, and the bridge begins when it answers."""
    async with AsyncExitStack() as stack:
        context = await _side(settings, stack)
        await try_synchronize(context)
        readiness = await _http(context, stack, TABLES)
        stop = server.until_stopped(settings, readiness)
        await run_until_stopped(
            {"bridge": bridge.on(context), "newcomers": context.new_users.run(), "stop": stop}
        )


async def _side(settings: Settings, stack: AsyncExitStack) -> BridgeContext:
    """Opens the engines and PubNub's side, which routes and bridge share."""
    opened = await stack.enter_async_context(open_backends(settings))
    return await stack.enter_async_context(open_context(settings, opened))


async def _http(context: BridgeContext, stack: AsyncExitStack, tables: Sequence[TypedRoutes]) -> Readiness:
    """Opens the gate and the port."""
    settings = context.settings
    made = build_services(
        settings, context.backends, erasers(context), context.new_users.created, exporters(context)
    )
    gate = await stack.enter_async_context(open_authenticator(settings, context.backends.valkey.clustered))
    demo = (demo_login.routes,) if settings.demo_login else ()
    app = build_app(settings, made, gate, (*tables, *demo))
    app[CONTEXT] = context
    app[CONCURRENCY_LIMITS].build("webhook", settings.max_concurrent_webhooks)
    Pages(settings).mount(app)
    address = await stack.enter_async_context(server.listening(app, settings))
    log.info("listening", address=address.url)
    return made.readiness
