"""Callers of one moment share one read, and no result is older than its call."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.concurrency.batch_loader import MAX_BATCH, BatchLoader
from graph_service.errors import GraphUnavailable


class SlowRead:
    """A read that returns when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_return = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, keys: list[str]) -> dict[str, str]:
        """Each key in capitals; one that begins with a minus does not exist."""
        self.batches.append(keys)
        await self.may_return.wait()
        if self.error:
            raise self.error
        return {key: key.upper() for key in keys if not key.startswith("-")}


def loader_of(slow: SlowRead) -> BatchLoader[str]:
    return BatchLoader(read=slow.read, min_interval_seconds=0.0)


async def _reads(slow: SlowRead, number: int) -> None:
    """Until so many reads have begun."""
    while len(slow.batches) < number:  # noqa: ASYNC110 - another task's list
        await asyncio.sleep(0)


async def test_calls_of_one_moment_share_one_read_that_has_each_key_once() -> None:
    """Each gets its own result, and None where there is no such key."""
    slow = SlowRead()
    slow.may_return.set()
    loader = loader_of(slow)
    found = await asyncio.gather(*map(loader.load, ("ann", "-bob", "ann", "cem")))
    assert found == ["ANN", None, "ANN", "CEM"]
    assert slow.batches == [["ann", "-bob", "cem"]]


async def test_a_call_during_a_read_is_in_the_next_one_even_for_the_same_key() -> None:
    """The result of the running read may be older than the call."""
    slow = SlowRead()
    loader = loader_of(slow)
    first = asyncio.create_task(loader.load("ann"))
    await _reads(slow, 1)
    later = [asyncio.create_task(loader.load(key)) for key in ("ann", "bob")]
    await asyncio.sleep(0)
    slow.may_return.set()
    assert await asyncio.gather(first, *later) == ["ANN", "ANN", "BOB"]
    assert slow.batches == [["ann"], ["ann", "bob"]]


async def test_an_error_reaches_every_caller_of_its_read_and_none_of_the_next() -> None:
    """The next read is a new attempt."""
    slow = SlowRead()
    slow.may_return.set()
    slow.error = GraphUnavailable(reason="away")
    loader = loader_of(slow)
    failed = await asyncio.gather(loader.load("ann"), loader.load("bob"), return_exceptions=True)
    assert [type(one) for one in failed] == [GraphUnavailable, GraphUnavailable]
    slow.error = None
    assert await loader.load("ann") == "ANN"


async def test_a_caller_that_gives_up_takes_no_result_from_the_others() -> None:
    """The read goes on for them."""
    slow = SlowRead()
    loader = loader_of(slow)
    leaving, staying = (asyncio.create_task(loader.load("ann")) for _ in range(2))
    await _reads(slow, 1)
    leaving.cancel()
    slow.may_return.set()
    assert await staying == "ANN"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_read_has_a_maximum_of_keys() -> None:
    """The rest is in the one after."""
    slow = SlowRead()
    slow.may_return.set()
    loader = loader_of(slow)
    await asyncio.gather(*(loader.load(str(number)) for number in range(MAX_BATCH + 1)))
    assert [len(keys) for keys in slow.batches] == [MAX_BATCH, 1]


async def test_only_after_a_read_of_several_keys_does_the_next_wait_for_the_minimum_interval() -> None:
    """By the loop's own clock: a caller that is alone, again and again, does not wait for an interval of an hour."""
    began: list[float] = []

    async def read(keys: list[str]) -> dict[str, str]:
        began.append(asyncio.get_running_loop().time())
        return dict.fromkeys(keys, "")

    hourly = BatchLoader(read=read, min_interval_seconds=3600.0)
    for _ in range(3):
        await hourly.load("ann")
    loader = BatchLoader(read=read, min_interval_seconds=0.05)
    await asyncio.gather(loader.load("ann"), loader.load("bob"))
    await loader.load("ann")
    assert began[-1] - began[-2] >= 0.05
