"""Partitions take turns at the committer: a busy one does not make another wait."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import AsyncMock, MagicMock

from graph_service.model.model import CommitResult, Flag
from pubnub_bridge.debounce.committer import MAX_BATCH
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.model.notification import NotificationBatch
from pubnub_bridge.model.presence_event import PresenceEvent
from tests.support.settling import commit_result, committer


class Flags:
    """A graph without users, which remembers whom it was asked to flag."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """All are unknown."""
        self.batches.append([flag.user for flag in flags])
        return commit_result(unknown=frozenset(self.batches[-1]))


async def test_a_partition_with_more_than_a_batch_due_leaves_the_next_batch_to_the_others() -> None:
    """Also where more comes to it than is committed."""
    debouncers = {number: Debouncer(times=DebounceTimes()) for number in range(3)}
    flags = Flags()
    inbox = MagicMock(notifications=lambda: NotificationBatch(partition=lambda _user: 0), append=AsyncMock())
    one, _ = committer(debouncers, flags, inbox)
    for turn in range(6):
        for number, debouncer in debouncers.items():
            users = [f"{number}-{turn}-{place}" for place in range(MAX_BATCH)]
            debouncer.add([PresenceEvent(user, True, 1000, 0, "join") for user in users], str(turn))
        await one.step()
    assert [{user[0] for user in batch} for batch in flags.batches] == [{"0"}, {"1"}, {"2"}] * 2
