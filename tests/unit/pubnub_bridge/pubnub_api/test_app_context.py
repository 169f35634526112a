"""Write-behind: everything of a user who changed, and only the members of a user whose friends did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from graph_service.errors import GraphUnavailable, QueueUnavailable
from graph_service.model.model import PresenceSnapshot
from graph_service.model.sharding import ShardMap
from pubnub_bridge.pubnub_api.app_context import AppContext, members


class RecordingStore:
    """Records what is written, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    async def set_user(self, user: str, name: str, custom: Mapping[str, Any]) -> None:
        """A user's flags."""
        self.calls.append(("user", user))

    async def set_channel(self, channel: str, name: str, custom: Mapping[str, Any]) -> None:
        """A channel's name."""
        self.calls.append(("channel", channel))

    async def members(self, channel: str) -> set[str]:
        """None yet."""
        return set()

    async def change_members(
        self, channel: str, added: Mapping[str, Mapping[str, Any]], removed: Sequence[str]
    ) -> None:
        """A channel's members."""
        self.calls.append(("members", channel))

    async def remove_user(self, user: str) -> None:
        """A user is erased."""
        self.calls.append(("no user", user))

    async def remove_channel(self, channel: str) -> None:
        """A channel is erased."""
        self.calls.append(("no channel", channel))


class Reads:
    """Every user exists but those erased, and has one friend."""

    erased = frozenset({"zoe"})

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        """Raised by the next calls, one each."""

    def _raise_next(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """Of the users who exist."""
        self._raise_next()
        return [snapshot(user) for user in ids if user not in self.erased]

    async def active(self, user: str, limit: int) -> Sequence[tuple[str, int]] | None:
        """The friend."""
        self._raise_next()
        return None if user in self.erased else [("fay", 0)]


def snapshot(user: str, friends: Sequence[str] = ()) -> PresenceSnapshot:
    """A user who is online, with these friends online."""
    return PresenceSnapshot(
        user=user,
        name=user,
        online=True,
        invisible=False,
        present=True,
        presence_at=1,
        last_seen=1,
        online_friends=friends,
        visible_friends=friends,
        total_friends=len(friends),
        ts=1,
    )


@asynccontextmanager
async def running(context: AppContext, under_pressure: Callable[[], bool] = lambda: False) -> Any:
    task = asyncio.create_task(context.run(under_pressure=under_pressure))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


ANN_CHANGED = [
    ("channel", "friends.ann"),
    ("members", "friends.ann"),
    ("members", "friends.bob"),
    ("user", "ann"),
]
"""What is written when ann has changed, and bob is her friend who is online."""


def app_context(store: RecordingStore, reads: Reads | None = None) -> AppContext:
    """With a rate that no test reaches."""
    return AppContext(
        store=store, reads=reads or Reads(), shards=ShardMap(), extent="full", writes_per_second=10_000
    )


async def written(store: RecordingStore, calls: int) -> list[tuple[str, str]]:
    """Wait until so many calls were made."""
    async with asyncio.timeout(5):
        while len(store.calls) < calls:  # noqa: ASYNC110 - another task's list
            await asyncio.sleep(0)
    return sorted(store.calls)


async def test_everything_of_a_changed_user_is_written_and_only_the_members_of_their_friends() -> None:
    """A friend's own flags are as they were: writing them again would be half of all calls."""
    store = RecordingStore()
    context = app_context(store)
    context.on_committed([snapshot("ann", ["bob"])])
    async with running(context):
        assert await written(store, 4) == ANN_CHANGED


async def test_a_changed_user_is_written_whole_though_a_friend_changed_afterwards() -> None:
    """Pending writes are merged, and none is lost."""
    store = RecordingStore()
    context = app_context(store)
    context.on_committed([snapshot("ann", ["bob"]), snapshot("bob", ["ann"])])
    async with running(context):
        assert ("user", "bob") in await written(store, 6)


async def test_a_user_erased_while_a_write_was_pending_is_removed() -> None:
    """After a change of their own, or of a friend."""
    for own in (True, False):
        store = RecordingStore()
        context = app_context(store)
        context.touch(["zoe"], own=own)
        async with running(context):
            assert await written(store, 2) == [("no channel", "friends.zoe"), ("no user", "zoe")]


async def test_a_failed_write_is_retried_with_the_same_extent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the graph failed for the whole batch, or one user's write did."""
    monkeypatch.setattr("pubnub_bridge.pubnub_api.app_context.RETRY_SECONDS", 0.0)
    store, reads = RecordingStore(), Reads()
    reads.errors = [GraphUnavailable(reason="away"), QueueUnavailable(reason="away")]
    context = app_context(store, reads)
    context.on_committed([snapshot("ann", ["bob"])])
    async with running(context):
        assert await written(store, 4) == ANN_CHANGED
    assert not reads.errors
    context.touch(["bob"], own=False)
    reads.errors = [GraphUnavailable(reason="away")]
    store.calls.clear()
    async with running(context):
        assert await written(store, 1) == [("members", "friends.bob")]


async def test_writing_waits_under_pressure_and_continues_after_it() -> None:
    store = RecordingStore()
    context = app_context(store)
    under_pressure = True
    context.touch(["ann"])
    async with running(context, lambda: under_pressure):
        for _ in range(100):
            await asyncio.sleep(0)
        assert not store.calls
        under_pressure = False
        assert await written(store, 3)


def test_members_become_the_active_friends_at_most_a_hundred() -> None:
    change = members({"ann", "bob"}, [("bob", 1), ("cat", 2)])
    assert (change.added, change.removed) == ({"cat": 2}, ["ann"])
    many = members(set(), [(str(number), 1) for number in range(200)])
    assert len(many.added) == 100
