"""A new origin for each test, on a free port, with a frozen clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local_stack.origin.app import Options, start
from local_stack.origin.clock import Clock
from tests.support.origin import START, OriginHttp


@pytest.fixture(params=["fast lane", "aiohttp"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[OriginHttp]:
    """A running origin, by the fast path and by aiohttp's; a defect in it fails the test."""
    headers = {"Connection": "close"} if request.param == "aiohttp" else {}
    clock = Clock()
    clock.freeze()
    clock.set(START)
    running = await start(Options(control=True), clock)
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        aiohttp.ClientSession(timeout=timeout) as control,
    ):
        yield OriginHttp(running=running, session=session, control=control)
    await running.close()
    assert running.origin.errors == 0
