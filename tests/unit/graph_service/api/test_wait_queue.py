"""The wait queue of a concurrency limit is first in, first out, and loses no slot when a request leaves it."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.api.concurrency_limits import WaitQueue
from graph_service.concurrency.load_shedding import Limiter, LimiterBounds


def wait_queue(max_slots: int = 1, max_queued: int = 2, target_latency_seconds: float = 10.0) -> WaitQueue:
    bounds = LimiterBounds(
        max_slots=max_slots,
        max_body_bytes=1000,
        target_latency_seconds=target_latency_seconds,
        max_queued=max_queued,
    )
    return WaitQueue(limiter=Limiter(bounds))


def finish(queue: WaitQueue) -> None:
    """A request that is being processed ends."""
    queue.limiter.release()
    queue.hand_over()


async def acquiring(queue: WaitQueue) -> asyncio.Task[bool]:
    """A request that is in the queue by now, or has a slot."""
    task = asyncio.create_task(queue.acquire())
    await asyncio.sleep(0)
    return task


async def test_slots_go_to_the_requests_that_wait_longest() -> None:
    """A later request never overtakes one that waits."""
    queue = wait_queue()
    assert await queue.acquire()
    first, second = await acquiring(queue), await acquiring(queue)
    finish(queue)
    assert await first
    assert not second.done()
    finish(queue)
    assert await second
    assert (queue.limiter.in_use, queue.limiter.queued) == (1, 0)


async def test_a_request_that_finds_the_queue_full_does_not_wait() -> None:
    """One slot and a queue of two."""
    queue = wait_queue()
    assert await queue.acquire()
    waiting = [await acquiring(queue) for _ in range(2)]
    assert not await queue.acquire()
    for one in waiting:
        finish(queue)
        assert await one


async def test_no_request_waits_longer_than_the_target_latency() -> None:
    """Then it is rejected, and the queue is empty again."""
    queue = wait_queue(target_latency_seconds=0.01)
    assert await queue.acquire()
    assert not await queue.acquire()
    assert (queue.limiter.in_use, queue.limiter.queued) == (1, 0)


@pytest.mark.parametrize("handed_over", [True, False])
async def test_a_client_that_goes_away_while_it_waits_takes_no_slot_with_it(handed_over: bool) -> None:
    """Not even one that was handed over in that very moment."""
    queue = wait_queue()
    assert await queue.acquire()
    gone, following = await acquiring(queue), await acquiring(queue)
    if handed_over:
        finish(queue)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    if not handed_over:
        finish(queue)
    assert await following
    finish(queue)
    assert (queue.limiter.in_use, queue.limiter.queued) == (0, 0)


async def test_fewer_requests_wait_while_requests_are_slow() -> None:
    """The queue shrinks with the limit."""
    queue = wait_queue(max_slots=100, max_queued=100, target_latency_seconds=0.5)
    for second in range(60):
        queue.limiter.record(5.0, float(second))
    assert [queue.limiter.enqueue() for _ in range(9)] == [True] * 8 + [False]
