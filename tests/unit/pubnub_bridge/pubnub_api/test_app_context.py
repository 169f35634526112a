"""What is written behind, and when: all that is kept of who changed, only the members of who did not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from graph_service.errors import GraphUnavailable, QueueUnavailable
from graph_service.model.model import PresenceSnapshot
from graph_service.model.sharding import ShardMap
from pubnub_bridge.pubnub_api.app_context import AppContext


class Kept:
    """What was written, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    async def set_user(self, user: str, name: str, custom: Mapping[str, Any]) -> None:
        """A user's flags."""
        self.calls.append(("user", user))

    async def set_channel(self, channel: str, name: str, custom: Mapping[str, Any]) -> None:
        """A channel's name."""
        self.calls.append(("channel", channel))

    async def members(self, channel: str) -> set[str]:
        """Nobody is one yet."""
        return set()

    async def change_members(
        self, channel: str, added: Mapping[str, Mapping[str, Any]], removed: Sequence[str]
    ) -> None:
        """A channel's members."""
        self.calls.append(("members", channel))

    async def remove_user(self, user: str) -> None:
        """A user is forgotten."""
        self.calls.append(("no user", user))

    async def remove_channel(self, channel: str) -> None:
        """A channel is forgotten."""
        self.calls.append(("no channel", channel))


class Reads:
    """Everybody exists but those erased, and has one friend."""

    erased = frozenset({"zoe"})

    def __init__(self) -> None:
        self.away: list[Exception] = []
        """What the next calls raise, one each."""

    def _answers(self) -> None:
        if self.away:
            raise self.away.pop(0)

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """All that is known."""
        self._answers()
        return [told(user) for user in ids if user not in self.erased]

    async def active(self, user: str, limit: int) -> Sequence[tuple[str, int]] | None:
        """The friend."""
        self._answers()
        return None if user in self.erased else [("fay", 0)]


def told(user: str, friends: Sequence[str] = ()) -> PresenceSnapshot:
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
async def running(context: AppContext) -> Any:
    """While it writes."""
    task = asyncio.create_task(context.run())
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


def made(kept: Kept, reads: Reads | None = None) -> AppContext:
    """One without a limit worth mentioning."""
    return AppContext(kept, reads or Reads(), ShardMap(), "full", 10_000)


async def written(kept: Kept, calls: int) -> list[tuple[str, str]]:
    """Until so many calls were made."""
    async with asyncio.timeout(5):
        while len(kept.calls) < calls:  # noqa: ASYNC110 - another task's list
            await asyncio.sleep(0)
    return sorted(kept.calls)


async def test_of_who_changed_all_is_written_and_of_their_friends_only_who_is_a_member() -> None:
    """A friend's own flags are as they were: writing them again would be half of all calls."""
    kept = Kept()
    context = made(kept)
    context.settled([told("ann", ["bob"])])
    async with running(context):
        assert await written(kept, 4) == ANN_CHANGED


async def test_who_changed_is_written_whole_though_a_friend_changed_afterwards() -> None:
    """What waits is merged, and nothing of it gets lost."""
    kept = Kept()
    context = made(kept)
    context.settled([told("ann", ["bob"]), told("bob", ["ann"])])
    async with running(context):
        assert ("user", "bob") in await written(kept, 6)


async def test_who_was_erased_meanwhile_is_forgotten_whoever_changed() -> None:
    """By an own change, or by a friend's."""
    for own in (True, False):
        kept = Kept()
        context = made(kept)
        context.touch(["zoe"], own=own)
        async with running(context):
            assert await written(kept, 2) == [("no channel", "friends.zoe"), ("no user", "zoe")]


async def test_what_failed_is_tried_again_with_no_more_than_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the graph was away for the whole batch, or PubNub for one of them."""
    monkeypatch.setattr("pubnub_bridge.pubnub_api.app_context.RETRY_SECONDS", 0.0)
    kept, reads = Kept(), Reads()
    reads.away = [GraphUnavailable(reason="away"), QueueUnavailable(reason="away")]
    context = made(kept, reads)
    context.settled([told("ann", ["bob"])])
    async with running(context):
        assert await written(kept, 4) == ANN_CHANGED
    assert not reads.away
    context.touch(["bob"], own=False)
    reads.away = [GraphUnavailable(reason="away")]
    kept.calls.clear()
    async with running(context):
        assert await written(kept, 1) == [("members", "friends.bob")]


async def test_while_news_needs_all_there_is_a_cache_waits() -> None:
    """And goes on as soon as it is not."""
    kept = Kept()
    context = made(kept)
    pressed = True
    context.pressed = lambda: pressed
    context.touch(["ann"])
    async with running(context):
        for _ in range(100):
            await asyncio.sleep(0)
        assert not kept.calls
        pressed = False
        assert await written(kept, 3)
