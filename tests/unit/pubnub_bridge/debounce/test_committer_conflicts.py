"""The graph held another state with the same time: Where Now decides, by a newer event in the presence log."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import AsyncMock, MagicMock

from graph_service.model.model import Flag, CommitResult
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.model.notification import NotificationBatch
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.debounce.committer import FlagCommitter
from tests.support.settling import around

NONE: frozenset[str] = frozenset()


class Graph:
    """Has the time already, and the other state."""

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """Equal and flipped."""
        users = frozenset(flag.user for flag in flags)
        return CommitResult(NONE, users, NONE, NONE, users, NONE)

    async def tell(self, _ids: Sequence[str]) -> list[object]:
        """Nobody is known any more."""
        return []


async def test_of_two_states_of_one_time_where_now_decides() -> None:
    """Whichever of two owners wrote last is not right for that alone."""
    leans_on = around(
        Graph(), MagicMock(notifications=lambda: NotificationBatch(lambda _user: 0), append=AsyncMock())
    )
    found = PresenceEvent("ann", False, 2000, 0, "confirm")
    leans_on.lookups.all, leans_on.log.append = AsyncMock(return_value={"ann": found}), AsyncMock()
    hold = Debouncer()
    hold.see([PresenceEvent("ann", True, 1000, 0, "join")], "entry")
    settle = FlagCommitter(leans_on, {0: hold})
    await settle.step()
    await settle.drained()
    leans_on.log.append.assert_awaited_once_with([found])
