"""An origin of its own for each test, on a free port, its clock frozen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local_stack.origin.app import Options, start
from local_stack.origin.clock import Clock
from tests.support.origin import START, OriginHttp


@pytest.fixture(params=["fast lane", "aiohttp"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[OriginHttp]:
    """A running origin that no defect may have touched by the end of the test; by either way through it."""
    headers = {"Connection": "close"} if request.param == "aiohttp" else {}
    clock = Clock()
    clock.freeze()
    clock.set(START)
    running = await start(Options(control=True), clock)
    patience = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=patience, headers=headers) as session,
        aiohttp.ClientSession(timeout=patience) as control,
    ):
        yield OriginHttp(running, session, control)
    await running.close()
    assert running.origin.errors == 0
