"""Composition root of the graph service: opens databases, builds services, serves the API.

Opened in this order and closed in the reverse: graph (refused where its schema is behind), Valkey, authenticator, port.
The bridge opens the same and adds its own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from graph_service import logging, metrics, prefork, server, tracing
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import Readiness, Services
from graph_service.errors import QueueUnavailable
from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import Friends
from graph_service.friends.presence_flags import Flags
from graph_service.friends.suggestions import SuggestionsFor
from graph_service.friends.users import Created, Eraser, Users, ignore_created
from graph_service.graph import migrations
from graph_service.graph.driver import Graph, check, connect
from graph_service.settings import Settings, check_serving
from graph_service.valkey.cache import Cache
from graph_service.valkey.client import Valkey
from graph_service.valkey.cluster import open_valkey

log = structlog.get_logger(__name__)

RELAY_WAKEUP_CHANNEL = "fp:outbox:nudge"
"""The channel that wakes up the outbox relay after a change, so that it need not wait for its next poll."""


@dataclass(frozen=True, kw_only=True)
class Backends:
    """Both databases, open and checked."""

    graph: Graph
    valkey: Valkey


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Open and check both databases.

    Raises:
        MigrationsBehind, EditedMigration, MissingMigration: the graph's schema is not this version's.
        GraphRefused, NotNeo4j, GraphUnavailable, QueueUnavailable: a database cannot be used.
    """
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(connect(settings, metrics.query_observed))
        agent = await check(graph, settings)
        await migrations.refuse_when_behind(graph, migrations.folder())
        valkey = await stack.enter_async_context(open_valkey(settings.redis_url.get_secret_value()))
        log.info("startup.backends.connected", graph=agent)
        yield Backends(graph=graph, valkey=valkey)


def build_services(
    settings: Settings,
    backends: Backends,
    erasers: Mapping[str, Eraser] | None = None,
    created: Created = ignore_created,
    exporters: Mapping[str, Eraser] | None = None,
) -> Services:
    """The use cases over open databases, with readiness checks.

    Another package adds its `erasers` and `exporters` by store, and a callback for users that are `created`.
    """
    graph, shards = backends.graph, settings.shard_map()
    suggestions = SuggestionsFor(graph=graph, cache=Cache(valkey=backends.valkey))

    async def changed(a: str, b: str) -> None:
        await suggestions.forget(a, b)
        with suppress(QueueUnavailable):  # the change is committed, and the relay polls anyway
            await backends.valkey.publish_wakeup(RELAY_WAKEUP_CHANNEL)

    return Services(
        friends=Friends(
            graph=graph,
            friend_limit=settings.friend_limit,
            pending_limit=settings.pending_limit,
            changed=changed,
            last_seen_rounding_seconds=settings.last_seen_rounding_seconds,
        ),
        bulk=Bulk(graph=graph, friend_limit=settings.friend_limit, changed=changed),
        suggestions=suggestions,
        users=Users(
            graph=graph,
            shard_of=shards.shard,
            changed=changed,
            erasers={"kept answers": suggestions.erase, **(erasers or {})},
            created=created,
        ),
        flags=Flags(graph=graph, last_seen_rounding_seconds=settings.last_seen_rounding_seconds),
        exporters=exporters or {},
        readiness=Readiness(checks={"graph": lambda: graph.row("clock"), "queue": backends.valkey.ping}),
    )


async def serve_api(settings: Settings, extra: Sequence[TypedRoutes] = ()) -> None:
    """Serve the API until SIGTERM or SIGINT."""
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(open_backends(settings))
        services = build_services(settings, backends)
        authenticator = await stack.enter_async_context(
            open_authenticator(settings, backends.valkey.clustered)
        )
        app = build_app(settings, services, authenticator, extra)
        address = await stack.enter_async_context(server.listening(app, settings))
        log.info("startup.api.listening", address=address.url)
        await server.until_stopped(settings, services.readiness)


def run(settings: Settings) -> int:
    """Run a process that serves the API alone; returns its exit code.

    Raises:
        SetupError: a setting is missing, or a database cannot be used.
    """
    logging.setup(settings.log_level, settings.log_format)
    tracing.setup(settings.traces)
    check_serving(settings)
    began = time.monotonic()
    code = prefork.run(settings, serve_api)
    log.info("shutdown.process.finished", seconds=round(time.monotonic() - began, 1), exit_code=code)
    return code
