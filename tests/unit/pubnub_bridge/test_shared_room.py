"""Partitions share the room for settling and for publishing: a busy one keeps no other waiting for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from unittest.mock import AsyncMock, MagicMock

from graph_service.model.model import CommitResult, Flag
from pubnub_bridge.debounce import committer
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.publisher import PartitionOutbox, Publisher, PublisherParts, PublishLimits
from pubnub_bridge.model.notification import NotificationBatch, SyncNotification, encode
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.pubnub_api.publish_client import SENT, PublishResult
from tests.support.settling import around

NOBODY: frozenset[str] = frozenset()


class Flags:
    """A graph that knows nobody, and remembers whom it was asked to flag."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """All are unknown."""
        self.batches.append([flag.user for flag in flags])
        return CommitResult(NOBODY, NOBODY, NOBODY, frozenset(self.batches[-1]), NOBODY, NOBODY)


async def test_a_partition_with_more_than_a_batch_due_leaves_the_next_one_to_the_others() -> None:
    """Also where more comes to it than is settled."""
    debouncers = {number: Debouncer() for number in range(3)}
    flags, inbox = (
        Flags(),
        MagicMock(notifications=lambda: NotificationBatch(partition=lambda _user: 0), append=AsyncMock()),
    )
    one = committer.FlagCommitter(around(flags, inbox), debouncers)
    for turn in range(6):
        for number, hold in debouncers.items():
            users = [f"{number}-{turn}-{place}" for place in range(committer.MAX_BATCH)]
            hold.see([PresenceEvent(user, True, 1000, 0, "join") for user in users], str(turn))
        await one.step()
    assert [{user[0] for user in batch} for batch in flags.batches] == [{"0"}, {"1"}, {"2"}] * 2


class Posts:
    """An origin that takes everything, and remembers for whom."""

    def __init__(self, enough: int) -> None:
        self.inboxes: list[str] = []
        self.done = asyncio.Event()
        self._enough = enough

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Taken, a moment later."""
        self.inboxes.append(channel.removeprefix("inbox."))
        if len(self.inboxes) >= self._enough:
            self.done.set()
        await asyncio.sleep(0)
        return SENT


async def test_letters_of_every_partition_go_out_while_there_are_more_than_can() -> None:
    """With room for one publish at once, one of each partition in turn."""
    outboxes = {number: PartitionOutbox(number, BatchWindow(0.0, 0.0)) for number in range(3)}
    for number, outbox in outboxes.items():
        syncs = [SyncNotification(f"{number}-{place}", 1, 1, []) for place in range(20)]
        outbox.add([("1-0", encode(syncs))], time.monotonic(), 0.0)
    posts, rest = Posts(enough=12), MagicMock()
    ways: Any = PublisherParts(posts, rest, rest, rest, rest, AsyncMock())
    running = asyncio.create_task(Publisher(outboxes, ways, PublishLimits(in_flight=1)).run())
    async with asyncio.timeout(5):
        await posts.done.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [inbox[0] for inbox in posts.inboxes[:12]] == ["0", "1", "2"] * 4
