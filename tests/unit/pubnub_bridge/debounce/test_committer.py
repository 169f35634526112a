"""The committer works on two batches at a time: one is notified while the next is in the graph, in the order of reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from unittest.mock import AsyncMock

import pytest
import structlog
from structlog.testing import capture_logs

from graph_service.concurrency.cancellation import cancel_and_wait
from graph_service.errors import GraphUnavailable, QueueUnavailable
from graph_service.model.model import CommitResult, Flag, PresenceSnapshot
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.model.notification import NotificationBatch
from pubnub_bridge.model.presence_event import PresenceEvent
from tests.support.settling import commit_result, committer


@pytest.fixture
def _logs_at_every_level() -> Iterator[None]:
    """The run of the tests is quiet; these tests read what is logged."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.BoundLogger)
    yield
    structlog.configure(**before)


class Graph:
    """Every user changes, and has one friend who is online."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self.called = asyncio.Event()
        self.seconds = 0.0
        """How long a commit takes."""

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """All change."""
        await asyncio.sleep(self.seconds)
        users = frozenset(flag.user for flag in flags)
        self.committed += sorted(users)
        self.called.set()
        return commit_result(changed=users, flipped=users)

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Each has the same friend."""
        return [
            PresenceSnapshot(
                user=user,
                name=user,
                online=True,
                invisible=False,
                present=True,
                presence_at=1000,
                last_seen=0,
                online_friends=["friend"],
                visible_friends=["friend"],
                total_friends=1,
                ts=ts,
            )
            for ts, user in enumerate(ids, 1)
        ]


class Queue:
    """An inbox whose appends wait until it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.notified: list[str] = []
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
        self.notified += [event.user for event in notifications.events()]


class Scene:
    """A debouncer of one partition, committed to a graph and a queue of this test."""

    def __init__(self) -> None:
        self.debouncer = Debouncer(times=DebounceTimes())
        self.graph, self.queue = Graph(), Queue()
        self.dead_letter = AsyncMock()
        self.wakeup = asyncio.Event()
        self.committer, self.deleted = committer(
            {0: self.debouncer},
            self.graph,
            self.queue,
            dead_letter=self.dead_letter,
            wakeup=self.wakeup,
        )

    def arrives(self, user: str) -> None:
        """One entry of the presence log."""
        self.debouncer.add([PresenceEvent(user, True, 1000, 0, "join")], user)
        self.wakeup.set()

    async def next_batch(self) -> asyncio.Task[int]:
        """Begin a step, and let it come as far as it can."""
        step = asyncio.create_task(self.committer.step())
        for _ in range(20):
            await asyncio.sleep(0)
        return step


async def test_commits_next_batch_while_previous_is_notified_but_never_a_third() -> None:
    scene = Scene()
    scene.arrives("ann")
    assert (await scene.next_batch()).done()
    scene.arrives("bob")
    second = await scene.next_batch()
    scene.arrives("cat")
    third = await scene.next_batch()
    assert scene.graph.committed == ["ann", "bob"]
    assert not second.done()
    assert not scene.queue.notified
    scene.queue.open.set()
    assert (await second, await third) == (1, 1)
    await scene.committer.drained()
    assert scene.queue.notified == ["ann", "bob", "cat"]


async def test_what_was_read_first_is_appended_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its append takes longer than that of the next batch."""
    scene = Scene()

    async def append(notifications: NotificationBatch) -> None:
        users = [event.user for event in notifications.events()]
        for _ in range(10 if users == ["ann"] else 0):
            await asyncio.sleep(0)
        scene.queue.notified += users

    monkeypatch.setattr(scene.queue, "append", append)
    scene.arrives("ann")
    await scene.committer.step()
    scene.arrives("bob")
    await scene.committer.step()
    await scene.committer.drained()
    assert scene.queue.notified == ["ann", "bob"]


async def test_entries_stay_until_their_batch_is_notified() -> None:
    """After a crash before that, the next owner notifies."""
    scene = Scene()
    scene.arrives("ann")
    await scene.committer.step()
    await scene.committer.step()
    assert scene.deleted.await_count == 0
    scene.queue.open.set()
    await scene.committer.drained()
    assert scene.deleted.await_args_list[0].args[0] == {0: ["ann"]}


async def test_a_batch_that_could_not_be_notified_is_committed_and_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was read earlier is not appended after what was read later."""
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
    assert scene.graph.committed == ["ann", "bob", "ann"]
    assert scene.queue.notified == ["bob", "ann"]


async def test_a_change_that_cannot_be_dead_lettered_ends_the_committer() -> None:
    """Which ends the process; another owner begins with what the streams hold."""
    scene = Scene()
    scene.queue.open.set()
    scene.dead_letter.side_effect = ValueError("broken")
    scene.graph.write_flags = AsyncMock(side_effect=[TypeError("bad row"), commit_result()])  # type: ignore[method-assign]
    scene.arrives("ann")
    with pytest.raises(ValueError, match="broken"):
        await scene.committer.step()


async def test_an_error_while_notifying_ends_the_step_that_follows() -> None:
    """No batch is passed over in silence."""
    scene = Scene()
    scene.queue.open.set()
    scene.dead_letter.side_effect = ValueError("broken")
    scene.queue.append = AsyncMock(side_effect=[TypeError("bad row"), None])  # type: ignore[method-assign]
    scene.arrives("ann")
    await scene.committer.step()
    scene.arrives("bob")
    with pytest.raises(ValueError, match="broken"):
        await scene.committer.step()


async def test_draining_gives_up_what_is_in_progress_when_its_time_is_over() -> None:
    """The batch stays in the streams."""
    scene = Scene()
    scene.arrives("ann")
    await scene.committer.step()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await scene.committer.drained()
    scene.queue.open.set()
    await asyncio.sleep(0)
    assert not scene.queue.notified


async def test_after_draining_everybody_who_was_committed_was_notified() -> None:
    """Although `run` goes on and events arrive: no batch is begun any more."""
    scene = Scene()
    scene.graph.seconds = 0.02
    scene.queue.open.set()
    running = asyncio.create_task(scene.committer.run())
    try:
        for number in range(100):
            scene.arrives(str(number))
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(scene.committer.drained())
        for number in range(100, 200):
            scene.arrives(str(number))
            await asyncio.sleep(0.001)
        await draining
    finally:
        await cancel_and_wait([running])
    assert scene.graph.committed
    assert sorted(scene.queue.notified) == sorted(scene.graph.committed)
    assert not set(scene.graph.committed) & {str(number) for number in range(150, 200)}


async def test_run_leaves_no_batch_behind_when_it_is_cancelled() -> None:
    """As without draining: what is in progress ends with it."""
    scene = Scene()
    running = asyncio.create_task(scene.committer.run())
    scene.arrives("ann")
    await scene.graph.called.wait()
    await cancel_and_wait([running])
    scene.queue.open.set()
    await asyncio.sleep(0)
    assert not scene.queue.notified


@pytest.mark.usefixtures("_logs_at_every_level")
async def test_a_temporary_error_is_logged_with_its_delay_and_not_as_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batch is tried until it succeeds."""
    monkeypatch.setattr("pubnub_bridge.debounce.committer.MIN_BACKOFF_SECONDS", 0.001)
    scene = Scene()
    scene.queue.open.set()
    real, scene.graph.write_flags = scene.graph.write_flags, AsyncMock()  # type: ignore[method-assign]
    away = GraphUnavailable(reason="away")
    scene.graph.write_flags.side_effect = [away, away, await real([Flag("ann", True, 1000, 0)])]
    scene.arrives("ann")
    with capture_logs() as lines:
        await scene.committer.step()
        await scene.committer.drained()
    retries = [line for line in lines if line["event"] == "commit.batch.retrying"]
    assert [(line["seconds"], line["users"]) for line in retries] == [(0.001, 1), (0.002, 1)]
    assert not [line for line in lines if line["event"] == "commit.batch.failed"]
    assert scene.queue.notified == ["ann"]


@pytest.mark.usefixtures("_logs_at_every_level")
async def test_another_error_is_logged_with_its_traceback_and_its_change_dead_lettered() -> None:
    """A fault in our own code is found by its place."""
    scene = Scene()
    scene.queue.open.set()
    error = TypeError("bad row")
    scene.graph.write_flags = AsyncMock(side_effect=[error, commit_result()])  # type: ignore[method-assign]
    scene.arrives("ann")
    with capture_logs() as lines:
        await scene.committer.step()
        await scene.committer.drained()
    (failed,) = [line for line in lines if line["event"] == "commit.batch.failed"]
    assert failed["exc_info"] is error
    assert scene.dead_letter.await_args is not None
    assert scene.dead_letter.await_args.args[0].user == "ann"
    assert scene.deleted.await_args_list[0].args[0] == {0: ["ann"]}


@pytest.mark.usefixtures("_logs_at_every_level")
async def test_a_finished_batch_is_one_debug_line_with_its_counts() -> None:
    scene = Scene()
    scene.queue.open.set()
    scene.arrives("ann")
    with capture_logs() as lines:
        await scene.committer.step()
        await scene.committer.drained()
    (done,) = [line for line in lines if line["event"] == "commit.batch.done"]
    counts = {name: done[name] for name in ("changed", "equal", "older", "unknown", "recipients")}
    assert counts == {"changed": 1, "equal": 0, "older": 0, "unknown": 0, "recipients": 2}
