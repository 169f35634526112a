"""The service in a container of its image instead of in the tests' process, on the same databases."""

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
"""The image; if empty, tests run the service in their own process."""
READY_TIMEOUT_SECONDS = 60.0


@asynccontextmanager
async def service(options: Mapping[str, object]) -> AsyncIterator[str]:
    """API and bridge in one container, run as in deploy/, with these settings; its address once it is ready."""
    environ = {name.upper(): _text(value) for name, value in options.items()} | {"PORT": str(free_port())}
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


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _ready(address: str, container: Any) -> None:
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS), aiohttp.ClientSession() as http:
            while not await _is_ready(http, address):  # noqa: ASYNC110 - a container has no event to wait for
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(container.logs().decode()) from None


async def _is_ready(http: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with http.get(f"{address}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
