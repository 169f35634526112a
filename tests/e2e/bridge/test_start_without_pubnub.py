"""PubNub unreachable at the start: friends are served, sessions are refused, and presence begins when it responds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from graph_service.graph.driver import Graph
from local_stack.engines.ports import free_port
from local_stack.origin.app import Options, start
from local_stack.origin.settings import KeysetSettings
from pubnub_bridge.runtime import startup
from pubnub_bridge.settings import Settings
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, empty_valkey, eventually, options

KEY = {"X-Service-Key": "s" * 32}


@contextlib.asynccontextmanager
async def service(settings: Settings, *flags: str) -> AsyncIterator[str]:
    """The product's command as a process; its address once it is ready."""
    environ = dict(os.environ)
    for name, value in settings.model_dump(exclude_unset=True).items():
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        environ[name.upper()] = str(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pubnub_bridge", *flags, env=environ, stderr=asyncio.subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{settings.port}"
    try:
        async with aiohttp.ClientSession() as session:

            async def ready() -> bool:
                with contextlib.suppress(aiohttp.ClientError):
                    return (await session.get(f"{url}/readyz")).status == 200
                return False

            await eventually(ready)
        yield url
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def call(url: str, method: str, path: str, **more: Any) -> tuple[int, Any]:
    """Status and body of one call."""
    async with aiohttp.ClientSession() as session, session.request(method, url + path, **more) as reply:
        return reply.status, await reply.json()


@pytest.mark.timeout(120)
async def test_friends_are_served_while_pubnub_is_away_and_presence_begins_when_it_responds(
    graph: Graph, servers: Servers
) -> None:
    """One process with API and bridge survives a start without PubNub, and needs no restart."""
    await empty_valkey(servers.redis_url)
    port, origin_port = free_port(), free_port()
    chosen = options(servers, type("Where", (), {"host": "127.0.0.1", "port": origin_port})())  # type: ignore[arg-type]
    settings = Settings(**(chosen | {"port": port}))  # type: ignore[arg-type]
    world = World(graph, None, settings, f"http://127.0.0.1:{port}", None)  # type: ignore[arg-type]
    async with service(settings):
        assert (await world.call("PUT", "/v1/users/ann", json={"name": "Ann"}))[0] == 200
        assert (await world.call("GET", "/v1/friends", "ann"))[0] == 200
        _, why = await world.call("GET", "/v1/why?viewer=ann&friend=ann")
        assert why.get("presentNow") is None
        running = await start(
            Options("127.0.0.1", origin_port, "demo", "demo", "sec", KeysetSettings(), True, None)
        )
        world.origin = running
        try:
            await world.online("ann")
        finally:
            for device in world.devices:
                await device.client.stop()
            await running.close()


async def test_an_api_alone_takes_pubnubs_time_and_the_highest_stamp(quiet: World) -> None:
    """In a process without a bridge the API requests both, once PubNub responds."""
    context = quiet.context
    context.clock.offset_milliseconds, context.watermark.highest = 0, 0
    await quiet.origin.close()
    assert await startup.try_synchronize(context) is False
    assert context.clock.offset_milliseconds == 0
    port = quiet.origin.port
    again = await start(Options("127.0.0.1", port, "demo", "demo", "sec", KeysetSettings(), True, None))
    try:
        again.origin.clock.advance(3600.0)
        await context.backends.valkey.raise_to("fp:highest-ts", 1_700_000_000_000_000)
        assert await startup.try_synchronize(context) is True
        assert abs(context.clock.offset_milliseconds - 3_600_000) < 5_000
        assert context.watermark.highest == 1_700_000_000_000_000
    finally:
        await again.close()
