"""The graph held another state with the same time: Where Now decides, by a newer event in the presence log."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import AsyncMock, MagicMock

from graph_service.model.model import CommitResult, Flag, PresenceSnapshot
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.model.notification import NotificationBatch
from pubnub_bridge.model.presence_event import PresenceEvent
from tests.support.settling import commit_result, committer


class Graph:
    """Has the time already, and the other state."""

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        users = frozenset(flag.user for flag in flags)
        return commit_result(duplicate=users, flipped=users)

    async def read_snapshots(self, _ids: Sequence[str]) -> list[PresenceSnapshot]:
        return []


async def test_of_two_states_with_one_time_where_now_decides() -> None:
    """The owner that wrote last is not right for that alone."""
    inbox = MagicMock(notifications=lambda: NotificationBatch(partition=lambda _user: 0), append=AsyncMock())
    found = PresenceEvent("ann", False, 2000, 0, "confirm")
    lookups, log = MagicMock(all=AsyncMock(return_value={"ann": found})), MagicMock()
    log.append, log.delete = AsyncMock(), AsyncMock()
    debouncer = Debouncer(times=DebounceTimes())
    debouncer.add([PresenceEvent("ann", True, 1000, 0, "join")], "entry")
    flag_committer, _ = committer({0: debouncer}, Graph(), inbox, lookups=lookups, log=log)
    await flag_committer.step()
    await flag_committer.drained()
    log.append.assert_awaited_once_with([found])
