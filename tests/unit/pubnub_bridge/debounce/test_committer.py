"""Settling works on two batches at a time: one is told of while the next is in the graph, in the order of the reads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import AsyncMock

import pytest

from graph_service.errors import QueueUnavailable
from graph_service.model.model import CommitResult, Flag, PresenceSnapshot
from pubnub_bridge.debounce.committer import FlagCommitter
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.model.notification import NotificationBatch
from pubnub_bridge.model.presence_event import PresenceEvent
from tests.support.settling import around

NOBODY: frozenset[str] = frozenset()


class Graph:
    """Everybody changes, and has one friend who is online."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """All are news."""
        users = frozenset(flag.user for flag in flags)
        self.settled += sorted(users)
        return CommitResult(users, NOBODY, NOBODY, NOBODY, users, NOBODY)

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Each has the same friend."""
        return [
            PresenceSnapshot(user, user, True, False, True, 1000, 0, ["friend"], ["friend"], 1, ts)
            for ts, user in enumerate(ids, 1)
        ]


class Queue:
    """An inbox whose appends wait until they are let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.told: list[str] = []
        self.refuses = 0

    def notifications(self) -> NotificationBatch:
        """An empty one."""
        return NotificationBatch(partition=lambda _user: 0)

    async def append(self, notifications: NotificationBatch) -> None:
        """Accepted, once open."""
        await self.open.wait()
        if self.refuses:
            self.refuses -= 1
            raise QueueUnavailable(reason="away")
        self.told += [event.user for event in notifications.events()]


class Scene:
    """A hold of one partition, settled into a graph and a queue of this test."""

    def __init__(self) -> None:
        self.hold, self.graph, self.queue = Debouncer(), Graph(), Queue()
        leans_on = around(self.graph, self.queue)
        self.deleted = leans_on.log.delete
        self.committer = FlagCommitter(leans_on, {0: self.hold})

    def arrives(self, user: str) -> None:
        """One entry of the stream."""
        self.hold.see([PresenceEvent(user, True, 1000, 0, "join")], user)

    async def next_batch(self) -> asyncio.Task[int]:
        """Begin a step, and let it come as far as it can."""
        step = asyncio.create_task(self.committer.step())
        for _ in range(20):
            await asyncio.sleep(0)
        return step


async def test_the_next_batch_is_in_the_graph_while_one_is_told_of() -> None:
    """And no third one."""
    scene = Scene()
    scene.arrives("ann")
    assert (await scene.next_batch()).done()
    scene.arrives("bob")
    second = await scene.next_batch()
    assert scene.graph.settled == ["ann", "bob"]
    assert not second.done()
    assert not scene.queue.told
    scene.queue.open.set()
    assert await second == 1
    await scene.committer.drained()
    assert scene.queue.told == ["ann", "bob"]


async def test_entries_stay_until_their_batch_is_told_of() -> None:
    """Whoever dies before has them told by the next owner."""
    scene = Scene()
    scene.arrives("ann")
    await scene.committer.step()
    await scene.committer.step()
    assert scene.deleted.await_count == 0
    scene.queue.open.set()
    await scene.committer.drained()
    assert scene.deleted.await_args_list[0].args[0] == {0: ["ann"]}


async def test_a_batch_that_could_not_be_told_of_is_settled_and_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was read before is not told later than what was read after."""
    monkeypatch.setattr("pubnub_bridge.debounce.committer.MIN_BACKOFF_SECONDS", 0.0)
    scene = Scene()
    scene.queue.refuses = 1
    scene.arrives("ann")
    await scene.committer.step()
    scene.arrives("bob")
    second = await scene.next_batch()
    scene.queue.open.set()
    await second
    await scene.committer.drained()
    assert scene.graph.settled == ["ann", "bob", "ann"]
    assert sorted(scene.queue.told) == ["ann", "bob"]


async def test_a_batch_that_breaks_is_not_passed_over() -> None:
    """Its error ends settling, which ends the process; another owner begins with what stands in the streams."""
    scene = Scene()
    scene.queue.open.set()
    scene.committer._bury = AsyncMock(side_effect=ValueError("broken"))  # type: ignore[method-assign]
    scene.graph.write_flags = AsyncMock(
        side_effect=[TypeError("bad row"), *[CommitResult(*[NOBODY] * 6)] * 9]
    )  # type: ignore[method-assign]
    scene.arrives("ann")
    with pytest.raises(ValueError, match="broken"):
        await scene.committer.step()


async def test_draining_gives_up_what_is_under_way_when_its_time_is_over() -> None:
    """The batch stays in the streams."""
    scene = Scene()
    scene.arrives("ann")
    await scene.committer.step()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await scene.committer.drained()
    assert all(batch.done() for batch in scene.committer.batches)
    assert not scene.queue.told
