"""An origin of its own for each test, on a free port, its clock frozen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local_stack.origin.app import Options, start
from local_stack.origin.clock import Clock
from tests.support.origin import START, Wire


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A running origin that no defect may have touched by the end of the test."""
    clock = Clock()
    clock.freeze()
    clock.set(START)
    running = await start(Options(control=True), clock)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Wire(running, session)
    await running.close()
    assert running.origin.errors == 0
