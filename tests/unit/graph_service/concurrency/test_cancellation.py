"""A cancelled task ends, even where a library loses the cancellation."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.concurrency.cancellation import cancel_and_wait, propagate_cancellation


async def _swallowed(seconds: float) -> str:
    """A library that loses a cancellation."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        return "as if nothing had been"
    return "slept"


async def _for_ever(swallowing: int) -> None:
    while True:
        if swallowing > 0:
            swallowing -= 1
            await _swallowed(60)
        else:
            await asyncio.sleep(60)


async def test_a_cancellation_that_was_swallowed_inside_the_block_is_raised_at_its_end() -> None:
    """The loop around it ends."""

    async def loop() -> None:
        while True:
            with propagate_cancellation():
                await _swallowed(60)

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_was_cancelled_before_may_still_clean_up() -> None:
    """Only what comes inside the block counts."""
    done: list[str] = []

    async def loop() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            with propagate_cancellation():
                done.append(await _swallowed(0))
            raise

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["slept"]


async def test_a_timeout_inside_the_block_is_no_cancellation() -> None:
    """The timeout takes it back itself."""
    with propagate_cancellation(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)


async def test_tasks_that_continue_are_cancelled_again_until_none_runs() -> None:
    """One ends at once, one swallows it twice."""
    tasks = [asyncio.create_task(_for_ever(times)) for times in (0, 2)]
    await asyncio.sleep(0)
    await cancel_and_wait(tasks, every_seconds=0.01)
    assert all(task.cancelled() for task in tasks)


async def test_cancelling_no_tasks_returns() -> None:
    """No task, no error."""
    await cancel_and_wait([])
