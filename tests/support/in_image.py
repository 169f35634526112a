"""The service in a container of its image instead of in the tests' process, on the same engines of this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import docker  # type: ignore[import-untyped]

from local_stack.engines.ports import free_port

IMAGE = os.environ.get("SERVICE_IMAGE", "")
"""Which one; empty: tests run the service in their own process."""
PATIENCE_S = 60.0


@asynccontextmanager
async def service(options: Mapping[str, object]) -> AsyncIterator[str]:
    """API and bridge in one container as deploy/ runs it, with these options; its address once it is ready."""
    environ = {name.upper(): _word(value) for name, value in options.items()} | {"PORT": str(free_port())}
    client = docker.from_env(timeout=60)
    container = await asyncio.to_thread(
        client.containers.run,
        IMAGE,
        detach=True,
        environment=environ | {"HOST": "127.0.0.1", "ENVIRONMENT": "development"},
        network_mode="host",
        read_only=True,
        cap_drop=["ALL"],
    )
    try:
        address = f"http://127.0.0.1:{environ['PORT']}"
        await _ready(address, container)
        yield address
    finally:
        await asyncio.to_thread(container.remove, force=True)
        client.close()


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _ready(address: str, container: Any) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as http:
            while not await _answers(http, address):  # noqa: ASYNC110 - a container sets no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(container.logs().decode()) from None


async def _answers(http: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with http.get(f"{address}/readyz") as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False
