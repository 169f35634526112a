"""Composition of the graph service: which engine is opened when, and what is made of them. Decides nothing itself.

Opening order: graph (its schema version is checked; serving is refused when it is behind), Valkey, the gate, the
port; closing is the reverse. The bridge opens the same parts and adds its own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from graph_service import logging, metrics, prefork, server, tracing
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import Readiness, Services
from graph_service.errors import QueueUnavailable, SetupError
from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import Friends
from graph_service.friends.presence_flags import Flags
from graph_service.friends.suggestions import SuggestionsFor
from graph_service.friends.users import Created, Eraser, Users, ignore_created
from graph_service.graph import migrations
from graph_service.graph.driver import Graph, check, connect
from graph_service.settings import Settings, missing_to_serve
from graph_service.valkey.cache import Cache
from graph_service.valkey.client import Valkey
from graph_service.valkey.cluster import open_valkey

log = structlog.get_logger(__name__)

RELAY_WAKEUP_CHANNEL = "fp:outbox:nudge"
"""The channel on which a change of friends is announced, so that its relay need not wait for the next look."""

Wakeup = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Backends:
    """The two engines, open and checked."""

    graph: Graph
    valkey: Valkey


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Opens and checks both.

    Raises:
        MigrationsBehind, EditedMigration, MissingMigration: the graph's schema is not this version's.
        GraphRefused, NotNeo4j, GraphUnavailable, QueueUnavailable: an engine cannot be used.
    """
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(connect(settings, metrics.query_observed))
        agent = await check(graph, settings)
        await migrations.refuse_when_behind(graph, migrations.folder())
        valkey = await stack.enter_async_context(open_valkey(settings.redis_url.get_secret_value()))
        log.info("engines answer", graph=agent)
        yield Backends(graph, valkey)


def build_services(
    settings: Settings,
    opened: Backends,
    erasers: Mapping[str, Eraser] | None = None,
    created: Created = ignore_created,
    exporters: Mapping[str, Eraser] | None = None,
) -> Services:
    """The use cases over open engines, with the checks of readiness.

    Another package adds its `erasers` and `exporters` by store, and hears of users that are `created`.
    """
    graph, shards = opened.graph, settings.shard_map()
    suggestions = SuggestionsFor(graph, Cache(opened.valkey))

    async def changed(a: str, b: str) -> None:
        await suggestions.forget(a, b)
        with suppress(QueueUnavailable):  # the change is committed, and its relay looks by itself
            await opened.valkey.publish_wakeup(RELAY_WAKEUP_CHANNEL)

    return Services(
        friends=Friends(
            graph, settings.friend_limit, settings.pending_limit, changed, settings.last_seen_rounding_seconds
        ),
        bulk=Bulk(graph, settings.friend_limit, changed),
        suggestions=suggestions,
        people=Users(
            graph, shards.shard, changed, {"kept answers": suggestions.erase, **(erasers or {})}, created
        ),
        flags=Flags(graph, settings.last_seen_rounding_seconds),
        exporters=exporters or {},
        readiness=Readiness({"graph": lambda: graph.row("clock"), "queue": opened.valkey.ping}),
    )


async def serve_api(settings: Settings, extra: Sequence[TypedRoutes] = ()) -> None:
    """Serves the API until SIGTERM or SIGINT."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_backends(settings))
        made = build_services(settings, opened)
        gate = await stack.enter_async_context(open_authenticator(settings, opened.valkey.clustered))
        app = build_app(settings, made, gate, extra)
        address = await stack.enter_async_context(server.listening(app, settings))
        log.info("listening", address=address.url)
        await server.until_stopped(settings, made.readiness)


def run(settings: Settings) -> int:
    """The whole life of a process that serves the API alone; its exit code.

    Raises:
        SetupError: an option is missing, or an engine cannot be used.
    """
    logging.setup(settings.log_level, settings.log_format)
    tracing.setup(settings.traces)
    if missing := missing_to_serve(settings):
        raise SetupError(what="; ".join(missing), todo="Set it and start again")
    began = time.monotonic()
    code = prefork.run(settings, serve_api)
    log.info("stopped", seconds=round(time.monotonic() - began, 1), exit_code=code)
    return code
