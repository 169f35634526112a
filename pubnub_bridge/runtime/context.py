"""PubNub's side of a process, as far as HTTP routes and the bridge share it: what writes to streams, what asks PubNub.

Opened in both, so that the API alone can answer for sessions, syncs and visibility. Knows composition only.
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
from pubnub_bridge.pubnub_api.app_context import AppContext, GraphReads
from pubnub_bridge.pubnub_api.clock import Clock
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.pubnub_api.publish_client import Keyset
from pubnub_bridge.pubnub_api.sdk import PubNubSdk
from pubnub_bridge.pubnub_api.tokens import Tokens
from pubnub_bridge.settings import Settings
from pubnub_bridge.store.backpressure import Backpressure
from pubnub_bridge.store.change_history import ChangeHistory
from pubnub_bridge.store.dead_letters import DeadLetters
from pubnub_bridge.store.inbox_streams import InboxStreams
from pubnub_bridge.store.presence_log import PresenceLog
from pubnub_bridge.store.watermark import Watermark


@dataclass(frozen=True)
class BridgeContext:
    """The parts."""

    settings: Settings
    backends: Backends
    keyset: Keyset
    http_session: aiohttp.ClientSession
    pubnub: PubNubSdk
    clock: Clock
    shards: ShardMap
    flags: Flags
    presence_log: PresenceLog
    inbox_streams: InboxStreams
    backpressure: Backpressure
    watermark: Watermark
    presence_lookup: PresenceLookup
    change_history: ChangeHistory
    tokens: Tokens
    dead_letters: DeadLetters
    console_feed: Feed
    audit: Audit
    app_context: AppContext
    notification_queue: SqsQueue | None = None
    """Where notices wait instead of in Valkey's streams."""

    @cached_property
    def new_users(self) -> NewUsers:
        """Who was created and waits to be looked up; somebody must `run` it."""
        return NewUsers(self.look_up)

    async def look_up(self, users: Sequence[str]) -> list[str]:
        """Users who were just created may have been present for long: what Where Now says is accepted as seen.

        Returns those of whom PubNub said nothing. Raises QueueUnavailable, and then none is accepted.
        """
        found = await self.presence_lookup.all(users, "created")
        present = [seen for seen in found.values() if seen.online]
        if present:
            await self.presence_log.append(present)
        return [user for user in users if user not in found]


CONTEXT = web.AppKey("context", BridgeContext)
"""Where the routes find it."""


def keyset(settings: Settings) -> Keyset:
    """Where and as whom PubNub is called."""
    return Keyset(
        origin=settings.pubnub_origin,
        subscribe_key=settings.pubnub_subscribe_key,
        publish_key=settings.pubnub_publish_key,
        tls=settings.pubnub_tls,
        uuid=settings.pubnub_user,
    )


@asynccontextmanager
async def open_context(settings: Settings, backends: Backends) -> AsyncIterator[BridgeContext]:
    """Everything but the bridge's own loops; closed in reverse. Nothing is asked of PubNub yet."""
    async with AsyncExitStack() as stack:
        keys = keyset(settings)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        secret = settings.pubnub_secret_key
        client = await stack.enter_async_context(
            PubNubSdk.open(keys, secret.get_secret_value() if secret else None)
        )
        shards = settings.shard_map()
        clock, flags = Clock(), Flags(backends.graph, settings.last_seen_rounding_seconds)
        url = settings.queue_url
        notices = await stack.enter_async_context(SqsQueue.open(url)) if url else None
        yield BridgeContext(
            settings=settings,
            backends=backends,
            keyset=keys,
            http_session=session,
            pubnub=client,
            clock=clock,
            shards=shards,
            flags=flags,
            presence_log=PresenceLog(valkey=backends.valkey, partition=shards.partition),
            inbox_streams=InboxStreams(valkey=backends.valkey, partition=shards.partition, queue=notices),
            backpressure=Backpressure(valkey=backends.valkey, max_entries=settings.max_stream_entries),
            watermark=Watermark(valkey=backends.valkey),
            presence_lookup=PresenceLookup(pubnub=client, shards=shards, now=clock.now),
            change_history=ChangeHistory(
                valkey=backends.valkey,
                partition=shards.partition,
                ttl_seconds=settings.change_history_hours * 3600,
            ),
            tokens=Tokens(
                pubnub=client,
                server_user=settings.pubnub_user,
                enabled=settings.access_manager,
                client_minutes=settings.token_minutes,
            ),
            dead_letters=DeadLetters(valkey=backends.valkey, partitions=settings.partitions),
            console_feed=Feed(backends.valkey, settings),
            audit=Audit(backends.valkey),
            app_context=AppContext(
                store=client,
                reads=GraphReads(graph=backends.graph, flags=flags),
                shards=shards,
                extent=settings.app_context,
                writes_per_second=settings.app_context_per_second,
            ),
            notification_queue=notices,
        )
