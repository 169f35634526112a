"""Composition of what HTTP routes and the bridge share: clients of PubNub, stores in Valkey, readers of the graph.

`open_context` builds all of it, so that an API without a bridge can serve sessions, syncs and visibility. Routes see
an `ApiContext`; the bridge and its tools see the whole `BridgeContext`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

import aiohttp
from aiohttp import web

from graph_service.app import Backends
from graph_service.friends.presence_flags import Flags
from graph_service.model.sharding import ShardMap
from pubnub_bridge.debounce.new_users import NewUsers
from pubnub_bridge.fanout.sqs_queue import SqsQueue
from pubnub_bridge.observe.console.audit import Audit
from pubnub_bridge.observe.console.feed import Feed
from pubnub_bridge.pubnub_api.app_context import APP_CONTEXT_PER_SECOND, AppContext, GraphReads
from pubnub_bridge.pubnub_api.clock import Clock
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.pubnub_api.publish_client import Keyset
from pubnub_bridge.pubnub_api.sdk import PubNubSdk
from pubnub_bridge.pubnub_api.tokens import TOKEN_MINUTES, Tokens
from pubnub_bridge.settings import Settings
from pubnub_bridge.store.backpressure import Backpressure
from pubnub_bridge.store.change_history import ChangeHistory
from pubnub_bridge.store.dead_letters import DeadLetters
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.presence_log import PresenceLog
from pubnub_bridge.store.watermark import Watermark

PUBNUB_USER = "friends-presence"
"""The user id with which the server calls PubNub."""
KEEP_ALIVE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """What the HTTP routes use."""

    settings: Settings
    backends: Backends
    pubnub: PubNubSdk
    clock: Clock
    shards: ShardMap
    flags: Flags
    presence_log: PresenceLog
    inbox_streams: InboxStreams
    backpressure: Backpressure
    presence_lookup: PresenceLookup
    change_history: ChangeHistory
    dead_letters: DeadLetters
    tokens: Tokens
    console_feed: Feed
    audit: Audit
    app_context: AppContext

    @cached_property
    def new_users(self) -> NewUsers:
        """Users who were created and wait to be looked up; its `run` does the look-ups."""
        return NewUsers(look_up=self.look_up)

    async def look_up(self, users: Sequence[str]) -> list[str]:
        """Look up users who were just created and may have been connected for long; accept what PubNub reports.

        Returns those whose look-up failed. Raises QueueUnavailable, and then no event is accepted.
        """
        found = await self.presence_lookup.all(users, "created")
        present = [event for event in found.values() if event.online]
        if present:
            await self.presence_log.append(present)
        return [user for user in users if user not in found]


@dataclass(frozen=True, kw_only=True)
class BridgeContext(ApiContext):
    """What the bridge, the Lambda function and the doctor use in addition."""

    keyset: Keyset
    http_session: aiohttp.ClientSession
    watermark: Watermark
    notification_queue: SqsQueue | None
    """Where notifications wait instead of in Valkey's streams (QUEUE_URL), or None."""


CONTEXT = web.AppKey("context", ApiContext)


def keyset(settings: Settings) -> Keyset:
    """Where and as whom PubNub is called."""
    return Keyset(
        origin=settings.pubnub_origin,
        subscribe_key=settings.pubnub_subscribe_key,
        publish_key=settings.pubnub_publish_key,
        tls=settings.pubnub_tls,
        uuid=PUBNUB_USER,
    )


@asynccontextmanager
async def open_context(settings: Settings, backends: Backends) -> AsyncIterator[BridgeContext]:
    """Open everything but the bridge's own tasks; closed in reverse order. No call to PubNub is made yet."""
    async with AsyncExitStack() as stack:
        keys = keyset(settings)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        secret = settings.pubnub_secret_key
        pubnub = await stack.enter_async_context(
            PubNubSdk.open(keys, secret.get_secret_value() if secret else None)
        )
        url = settings.queue_url
        queue = await stack.enter_async_context(SqsQueue.open(url)) if url else None
        yield build_context(
            settings=settings, backends=backends, keys=keys, session=session, pubnub=pubnub, queue=queue
        )


def build_context(
    *,
    settings: Settings,
    backends: Backends,
    keys: Keyset,
    session: aiohttp.ClientSession,
    pubnub: PubNubSdk,
    queue: SqsQueue | None,
) -> BridgeContext:
    """All parts, on connections that are open."""
    valkey, graph = backends.valkey, backends.graph
    shards, clock = settings.shard_map(), Clock()
    flags = Flags(graph=graph, last_seen_rounding_seconds=settings.last_seen_rounding_seconds)
    return BridgeContext(
        settings=settings,
        backends=backends,
        keyset=keys,
        http_session=session,
        pubnub=pubnub,
        clock=clock,
        shards=shards,
        flags=flags,
        presence_log=PresenceLog(valkey=valkey, partition=shards.partition),
        inbox_streams=InboxStreams(valkey=valkey, partition=shards.partition, queue=queue),
        backpressure=Backpressure(valkey=valkey, max_entries=settings.max_stream_entries),
        watermark=Watermark(valkey=valkey),
        presence_lookup=PresenceLookup(pubnub=pubnub, shards=shards, now=clock.now),
        change_history=ChangeHistory(
            valkey=valkey, partition=shards.partition, ttl_seconds=settings.change_history_hours * 3600
        ),
        tokens=Tokens(
            pubnub=pubnub,
            server_user=PUBNUB_USER,
            enabled=settings.access_manager,
            client_minutes=TOKEN_MINUTES,
        ),
        dead_letters=DeadLetters(valkey=valkey, partitions=settings.partitions),
        console_feed=Feed(valkey=valkey, settings=settings),
        audit=Audit(valkey=valkey),
        app_context=AppContext(
            store=pubnub,
            reads=GraphReads(graph=graph, flags=flags),
            shards=shards,
            extent=settings.app_context,
            writes_per_second=APP_CONTEXT_PER_SECOND,
        ),
        notification_queue=queue,
    )
