"""Many who ask at one moment are answered by one question; nobody's answer is older than their asking."""

from __future__ import annotations

import asyncio

import pytest

from graph_service.concurrency.batch_loader import MAX_BATCH, BatchLoader
from graph_service.errors import GraphUnavailable


class Slow:
    """A read that is answered by hand."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answer: asyncio.Event = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, keys: list[str]) -> dict[str, str]:
        """Each key in capitals; unknown is who begins with a minus."""
        self.asked.append(keys)
        await self.answer.wait()
        if self.error:
            raise self.error
        return {key: key.upper() for key in keys if not key.startswith("-")}


async def _under_way(slow: Slow, questions: int) -> None:
    """Until so many questions were asked."""
    while len(slow.asked) < questions:  # noqa: ASYNC110 - another task's list
        await asyncio.sleep(0)


async def test_who_asks_in_one_moment_is_in_one_question_and_a_key_only_once() -> None:
    """Each hears their own answer, and None where there is no such key."""
    slow = Slow()
    slow.answer.set()
    together = BatchLoader(slow.read, distance=0.0)
    found = await asyncio.gather(*map(together.ask, ("ann", "-bob", "ann", "cem")))
    assert found == ["ANN", None, "ANN", "CEM"]
    assert slow.asked == [["ann", "-bob", "cem"]]


async def test_who_asks_while_a_question_is_under_way_is_in_the_next_even_for_the_same_key() -> None:
    """The answer under way may be older than their asking."""
    slow = Slow()
    together = BatchLoader(slow.read, distance=0.0)
    first = asyncio.create_task(together.ask("ann"))
    await _under_way(slow, 1)
    later = [asyncio.create_task(together.ask(key)) for key in ("ann", "bob")]
    await asyncio.sleep(0)
    slow.answer.set()
    assert await asyncio.gather(first, *later) == ["ANN", "ANN", "BOB"]
    assert slow.asked == [["ann"], ["ann", "bob"]]


async def test_an_error_is_everybodys_in_the_question_and_nobodys_in_the_next() -> None:
    """The next question is a new try."""
    slow = Slow()
    slow.answer.set()
    slow.error = GraphUnavailable(reason="away")
    together = BatchLoader(slow.read, distance=0.0)
    failed = await asyncio.gather(together.ask("ann"), together.ask("bob"), return_exceptions=True)
    assert [type(one) for one in failed] == [GraphUnavailable, GraphUnavailable]
    slow.error = None
    assert await together.ask("ann") == "ANN"


async def test_who_gives_up_takes_nobody_elses_answer_away() -> None:
    """The question goes on for the others."""
    slow = Slow()
    together = BatchLoader(slow.read, distance=0.0)
    leaving, staying = (asyncio.create_task(together.ask("ann")) for _ in range(2))
    await _under_way(slow, 1)
    leaving.cancel()
    slow.answer.set()
    assert await staying == "ANN"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_question_has_a_largest_size() -> None:
    """The rest is in the one after."""
    slow = Slow()
    slow.answer.set()
    together = BatchLoader(slow.read, distance=0.0)
    await asyncio.gather(*(together.ask(str(number)) for number in range(MAX_BATCH + 1)))
    assert [len(keys) for keys in slow.asked] == [MAX_BATCH, 1]


async def test_after_a_question_with_company_the_next_keeps_a_distance_and_who_asks_alone_does_not_wait() -> (
    None
):
    """By the loop's own clock: a distance of an hour is not waited for by one who asks again and again."""
    began: list[float] = []

    async def read(keys: list[str]) -> dict[str, str]:
        began.append(asyncio.get_running_loop().time())
        return dict.fromkeys(keys, "")

    patient = BatchLoader(read, distance=3600.0)
    for _ in range(3):
        await patient.ask("ann")
    together = BatchLoader(read, distance=0.05)
    await asyncio.gather(together.ask("ann"), together.ask("bob"))
    await together.ask("ann")
    assert began[-1] - began[-2] >= 0.05
