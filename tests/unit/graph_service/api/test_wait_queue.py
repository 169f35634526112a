"""The line before a room: places go to who came first, and none is lost, however somebody leaves the line."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.api.concurrency_limits import WaitQueue
from graph_service.concurrency.load_shedding import Limiter, LimiterBounds


def line(places: int = 1, long: int = 2, patience: float = 10.0) -> WaitQueue:
    """Before a room that is empty."""
    return WaitQueue(Limiter(LimiterBounds(places, 1000, patience, long)))


def left(one: WaitQueue) -> None:
    """Somebody in the room is done."""
    one.room.leave()
    one.move()


async def asking(one: WaitQueue) -> asyncio.Task[bool]:
    """Somebody who stands in the line by now, or has a place."""
    task = asyncio.create_task(one.place())
    await asyncio.sleep(0)
    return task


async def test_places_go_to_who_came_first() -> None:
    """And nobody who comes later goes ahead of those who wait."""
    before = line()
    assert await before.place()
    first, second = await asking(before), await asking(before)
    left(before)
    assert await first
    assert not second.done()
    left(before)
    assert await second
    assert (before.room.taken, before.room.waiting) == (1, 0)


async def test_who_finds_the_line_full_does_not_wait() -> None:
    """A place and a line of two."""
    before = line()
    assert await before.place()
    waiting = [await asking(before) for _ in range(2)]
    assert not await before.place()
    for one in waiting:
        left(before)
        assert await one


async def test_nobody_waits_longer_than_the_patience() -> None:
    """Then they are sent away, and the line is empty again."""
    before = line(patience=0.01)
    assert await before.place()
    assert not await before.place()
    assert (before.room.taken, before.room.waiting) == (1, 0)


@pytest.mark.parametrize("had", [True, False])
async def test_who_hangs_up_in_the_line_takes_no_place_with_them(had: bool) -> None:
    """Not even one that was theirs in that very moment."""
    before = line()
    assert await before.place()
    gone, next_one = await asking(before), await asking(before)
    if had:
        left(before)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    if not had:
        left(before)
    assert await next_one
    left(before)
    assert (before.room.taken, before.room.waiting) == (0, 0)


async def test_while_calls_are_slow_fewer_wait() -> None:
    """The line shrinks with the places."""
    before = line(places=100, long=100, patience=0.5)
    for second in range(60):
        before.room.took(5.0, float(second))
    assert [before.room.line_up() for _ in range(9)] == [True] * 8 + [False]
