"""Waiting for an event ends with the event or with the time, and says which."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.concurrency.wait import wait_or_timeout


async def test_it_returns_when_the_event_is_set() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await wait_or_timeout(event, seconds=60.0) is True


async def test_it_returns_when_the_time_has_passed() -> None:
    assert await wait_or_timeout(asyncio.Event(), seconds=0.001) is False


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_without_time_it_returns_at_once(seconds: float) -> None:
    event = asyncio.Event()
    assert await wait_or_timeout(event, seconds=seconds) is False
    event.set()
    assert await wait_or_timeout(event, seconds=seconds) is True


async def test_a_cancellation_is_not_taken_for_a_timeout() -> None:
    task = asyncio.create_task(wait_or_timeout(asyncio.Event(), seconds=60.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
