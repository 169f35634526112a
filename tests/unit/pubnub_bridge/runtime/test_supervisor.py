"""The supervisor: one task that ends ends all, a stop is no death, and a cancelled caller drains first."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.concurrency.cancellation import cancel_and_wait
from pubnub_bridge.errors import TaskDied
from pubnub_bridge.runtime.supervisor import supervise


class Endless:
    """A task that runs until it is cancelled."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        """Without end."""
        self.running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def fails() -> None:
    """Like a bug."""
    raise ValueError("broken")


async def returns() -> None:
    """Like a forgotten loop."""


async def test_a_task_that_fails_ends_the_others_and_is_named() -> None:
    other = Endless()
    with pytest.raises(TaskDied, match="broken") as raised:
        await supervise({"other": other.run(), "bad": fails()})
    assert "bad" in str(raised.value)
    assert other.ended


async def test_a_task_that_returns_has_died_too() -> None:
    other = Endless()
    with pytest.raises(TaskDied, match="without an error"):
        await supervise({"short": returns(), "other": other.run()})
    assert other.ended


async def test_a_stop_ends_all_and_is_no_death() -> None:
    other = Endless()
    await supervise({"other": other.run()}, stop=other.running.wait())
    assert other.ended


async def test_a_cancelled_caller_drains_while_all_still_run() -> None:
    other, drained = Endless(), []

    async def drain() -> None:
        drained.append(other.ended)

    running = asyncio.create_task(supervise({"other": other.run()}, drain=drain))
    await other.running.wait()
    await cancel_and_wait([running])
    assert drained == [False]
    assert other.ended
    assert running.cancelled()


async def test_a_task_that_drains_is_not_cancelled_again_before_its_time() -> None:
    """As a bridge, which needs its grace."""
    finished = []

    async def drains() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            finished.append(True)

    await supervise({"bridge": drains()}, stop=asyncio.sleep(0.01), cancel_seconds=10.0)
    assert finished == [True]
