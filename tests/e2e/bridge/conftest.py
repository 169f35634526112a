"""A world for each test: an origin, a bridge, and official clients of users.

With SERVICE_IMAGE, the service of a `world` runs in a container of that image (tests/containers/test_e2e_in_image.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pubnub.callbacks import SubscribeCallback
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler

from graph_service import server
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.dev_tokens import mint
from graph_service.app import build_services, open_backends
from graph_service.graph.driver import Graph
from graph_service.model.sharding import ShardMap
from local_stack.origin.app import Options, Running, start
from local_stack.origin.settings import KeysetSettings
from pubnub_bridge.api import routes
from pubnub_bridge.api.erasure import erasers, exporters
from pubnub_bridge.runtime import bridge
from pubnub_bridge.runtime.context import BridgeContext, open_context
from pubnub_bridge.runtime.startup import prepare
from pubnub_bridge.settings import Settings
from tests.conftest import Servers
from tests.support import in_image

DEBOUNCE_SECONDS = 0.4


class MessageListener(SubscribeCallback):
    """Records the messages that an official client receives."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.arrived = asyncio.Event()

    def message(self, pubnub: Any, message: Any) -> None:
        """A message on the inbox."""
        self.messages.append(message.message)
        self.arrived.set()

    def presence(self, pubnub: Any, presence: Any) -> None:
        """Ignored."""

    def status(self, pubnub: Any, status: Any) -> None:
        """Ignored."""


@dataclass
class Device:
    """An official client of one user."""

    user: str
    client: PubNubAsyncio
    listener: MessageListener
    channel: str

    async def receives(self, wanted: Callable[[Any], bool], seconds: float = 8.0) -> Any:
        """The first matching event, inside a batch or alone."""
        async with asyncio.timeout(seconds):
            while True:
                self.listener.arrived.clear()
                for event in self.events():
                    if wanted(event):
                        return event
                await self.listener.arrived.wait()

    def events(self) -> list[Any]:
        """All events so far, with batches unpacked."""
        return [
            event
            for message in self.listener.messages
            for event in (message["payload"]["events"] if message["type"] == "friend.batch" else [message])
        ]

    def appear(self) -> None:
        """Subscribe to the user's shard and inbox."""
        self.client.subscribe().channels([self.channel, f"inbox.{self.user}"]).execute()

    async def leave(self) -> None:
        """Unsubscribe from the shard, which is a leave."""
        self.client.unsubscribe().channels([self.channel]).execute()
        await asyncio.sleep(0)


@dataclass
class World:
    """What a test uses."""

    graph: Graph
    origin: Running
    settings: Settings
    api: str
    context: BridgeContext
    devices: list[Device] = field(default_factory=list)

    @property
    def shards(self) -> ShardMap:
        """How users are distributed over shards."""
        return ShardMap(self.settings.partitions, self.settings.presence_shards)

    def device(self, user: str) -> Device:
        """One more official client of a user; it subscribes when it `appear`s."""
        config = PNConfiguration()
        config.subscribe_key, config.publish_key = "demo", "demo"
        config.user_id = user
        config.origin, config.ssl = f"{self.origin.host}:{self.origin.port}", False
        client = PubNubAsyncio(
            config,
            subscription_manager=AsyncioSubscriptionManager,
            custom_request_handler=AsyncAiohttpRequestHandler,
        )
        listener = MessageListener()
        client.add_listener(listener)
        device = Device(user, client, listener, self.shards.channel(self.shards.shard(user)))
        self.devices.append(device)
        return device

    async def call(self, method: str, path: str, user: str | None = None, **more: Any) -> tuple[int, Any]:
        """An HTTP call as a user, or as the product's back end."""
        headers = dict(more.pop("headers", {}))
        if user:
            headers["Authorization"] = f"Bearer {mint(self.settings, user, time.time(), 60)}"
        else:
            headers.setdefault("X-Service-Key", "s" * 32)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.api + path, headers=headers, **more) as reply,
        ):
            return reply.status, await reply.json()

    async def online(self, *users: str) -> list[Device]:
        """Devices of these users, all committed as online."""
        devices = [self.device(user) for user in users]
        for device in devices:
            device.appear()
        await self.settled(*users)
        return devices

    async def settled(self, *users: str) -> None:
        """Return once all of these users are online in the graph: only then are friends announced to them."""
        async with asyncio.timeout(20):
            while True:
                _, response = await self.call("POST", "/v1/presence:query", json={"ids": list(users)})
                if all(row["online"] for row in response["presence"]):
                    return
                await asyncio.sleep(0.05)

    async def create_friends(self, *users: str) -> None:
        """Create users who are all friends of each other."""
        await self.graph.statement(
            "UNWIND $ids AS id MERGE (u:User {id: id}) SET u.name = toUpper(left(id, 1)) + substring(id, 1)",
            ids=list(users),
        )
        await self.graph.statement(
            "MATCH (a:User) WHERE a.id IN $ids MATCH (b:User) WHERE b.id IN $ids AND a.id < b.id "
            "MERGE (a)-[:FRIEND]->(b)",
            ids=list(users),
        )


def options(servers: Servers, origin: Running) -> dict[str, object]:
    """Settings of a bridge on the shared databases and one origin."""
    return servers.options() | {
        "pubnub_subscribe_key": "demo",
        "pubnub_publish_key": "demo",
        "pubnub_secret_key": "sec",
        "pubnub_origin": f"{origin.host}:{origin.port}",
        "pubnub_tls": False,
        "access_manager": False,
        "debounce_online_seconds": DEBOUNCE_SECONDS,
        "debounce_leave_seconds": DEBOUNCE_SECONDS,
        "debounce_timeout_seconds": DEBOUNCE_SECONDS,
        "partitions": 4,
        "presence_shards": 8,
        "status_count_interval_seconds": 1.0,
        "grace_seconds": 2.0,
        "jwt_secret": "j" * 32,
        "service_key": "s" * 32,
        "webhook_secret": "w" * 32,
        "port": 0,
    }


@pytest.fixture
async def origin() -> AsyncIterator[Running]:
    """A fresh origin without Access Manager."""
    running = await start(Options("127.0.0.1", 0, "demo", "demo", "sec", KeysetSettings(), True, None))
    yield running
    await running.close()


@pytest.fixture
async def strict_origin() -> AsyncIterator[Running]:
    """A fresh origin with Access Manager."""
    keyset = KeysetSettings(access_manager=True)
    running = await start(Options("127.0.0.1", 0, "demo", "demo", "sec", keyset, True, None))
    yield running
    await running.close()


@pytest.fixture
async def world(graph: Graph, servers: Servers, origin: Running) -> AsyncIterator[World]:
    """An origin and a bridge on the shared databases."""
    async with running_world(graph, servers, origin, {}) as made:
        yield made


@pytest.fixture
async def receiving_world(
    graph: Graph, servers: Servers, origin: Running
) -> AsyncIterator[tuple[World, list[tuple[str, bytes]]]]:
    """The same with a back end that receives events and refuses the first post."""
    posts: list[tuple[str, bytes]] = []

    async def receive(request: web.Request) -> web.Response:
        posts.append((request.headers["X-Signature"], await request.read()))
        return web.Response(status=503 if len(posts) == 1 else 204)

    backend = web.Application()
    backend.router.add_post("/", receive)
    runner = web.AppRunner(backend)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with running_world(graph, servers, origin, {"events_url": url, "events_secret": "e" * 32}) as made:
        yield made, posts
    await runner.cleanup()


@pytest.fixture
async def strict_world(graph: Graph, servers: Servers, strict_origin: Running) -> AsyncIterator[World]:
    """The same with Access Manager."""
    async with running_world(graph, servers, strict_origin, {"access_manager": True}) as made:
        yield made


@asynccontextmanager
async def running_world(
    graph: Graph, servers: Servers, origin: Running, more: dict[str, object]
) -> AsyncIterator[World]:
    await empty_valkey(servers.redis_url)
    chosen = options(servers, origin) | more
    settings = Settings(**chosen)  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        if in_image.IMAGE:
            url = await stack.enter_async_context(in_image.service(chosen))
            context = await stack.enter_async_context(opened_context(settings))
        else:
            await stack.enter_async_context(running_bridge(settings))
            url, context = await stack.enter_async_context(api(settings))
        world = World(graph, origin, settings, url, context)
        yield world
        for device in world.devices:
            await device.client.stop()


@asynccontextmanager
async def opened_context(settings: Settings) -> AsyncIterator[BridgeContext]:
    """A context of the test, to read the databases with."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_backends(settings))
        context = await stack.enter_async_context(open_context(settings, opened))
        await prepare(context)
        yield context


@pytest.fixture
async def quiet(graph: Graph, servers: Servers, origin: Running) -> AsyncIterator[World]:
    """Databases, origin and API, without a bridge."""
    async with without_bridge(graph, servers, origin, {}) as made:
        yield made


@asynccontextmanager
async def without_bridge(
    graph: Graph, servers: Servers, origin: Running, more: dict[str, object]
) -> AsyncIterator[World]:
    """The same, with `more` settings."""
    await empty_valkey(servers.redis_url)
    settings = Settings(**(options(servers, origin) | more))  # type: ignore[arg-type]
    async with api(settings) as (url, context):
        world = World(graph, origin, settings, url, context)
        yield world
        for device in world.devices:
            await device.client.stop()


@asynccontextmanager
async def api(settings: Settings) -> AsyncIterator[tuple[str, BridgeContext]]:
    """The HTTP API with the bridge's routes."""
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(opened_context(settings))
        opened = context.backends
        authenticator = await stack.enter_async_context(open_authenticator(settings))
        http = build_app(
            settings,
            build_services(settings, opened, erasers(context), context.new_users.created, exporters(context)),
            authenticator,
            routes.TABLES,
        )
        http[routes.CONTEXT] = context
        address = await stack.enter_async_context(server.listening(http, settings))
        new_users = asyncio.create_task(context.new_users.run())
        stack.callback(new_users.cancel)
        yield address.url, context


@asynccontextmanager
async def running_bridge(settings: Settings) -> AsyncIterator[asyncio.Task[int]]:
    """A running bridge, stopped at the end."""
    task = asyncio.create_task(bridge.run(settings))
    await asyncio.sleep(0.5)
    try:
        yield task
        if task.done():
            task.result()
    finally:
        task.cancel()
        _, running = await asyncio.wait([task], timeout=20)
        assert not running, (
            f"the bridge does not stop: {[str(one.get_stack()) for one in asyncio.all_tasks()]}"
        )


async def empty_valkey(url: str) -> None:
    import redis.asyncio as redis

    async with redis.Redis.from_url(url) as client:
        await client.flushdb()


async def eventually(wanted: Callable[[], Awaitable[object]], seconds: float = 20.0) -> None:
    """Poll until the result is true."""
    async with asyncio.timeout(seconds):
        while not await wanted():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until the condition is true."""

    async def checked() -> bool:
        return condition()

    await eventually(checked, seconds)
