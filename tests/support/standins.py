"""Stand-in use cases with fixed results, for tests of the HTTP layer alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graph_service.api.services import Readiness
from graph_service.model import model

ROWS = [
    model.FriendRow(f"friend-{n}", f"Friend {n}", n % 2 == 0, 1_700_000_000_123, 1_600_000_000)
    for n in range(5)
]


@dataclass
class StandIn:
    """Stands in for every use case; each call raises `error` while it is set."""

    error: Exception | None = None
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        if self.error:
            raise self.error

    async def page(self, me: str, state: str, after: str | None, limit: int) -> model.FriendPage:
        """Two friends a page, whatever is asked for."""
        self._called("page", me, state, after, limit)
        rows = [row for row in ROWS if row.id > (after or "")][:2]
        return model.FriendPage(
            friends=rows, next=rows[-1].id if rows[-1].id < ROWS[-1].id else None, ts=1_700_000_000_000_001
        )

    async def sync(self, user: str) -> model.SyncView:
        """Two friends online."""
        self._called("sync", user)
        return model.SyncView(
            online_friends=["friend-0", "friend-2"], total_friends=5, ts=1_700_000_000_000_000
        )

    async def ask(self, me: str, other: str) -> model.Outcome:
        """Always a new request."""
        self._called("ask", me, other)
        return model.Outcome(state=model.State.REQUESTED, changed=True)

    async def upsert(self, user: str, name: str) -> bool:
        """Always new."""
        self._called("upsert", user, name)
        return True

    async def presence(self, ids: Sequence[str]) -> list[model.Presence]:
        """Only ann is known."""
        self._called("presence", *ids)
        return [model.Presence(id="ann", online=True, last_seen=0)] if "ann" in ids else []


@dataclass
class StandInParts:
    """One stand-in for all services."""

    any: StandIn = field(default_factory=StandIn)
    readiness: Readiness = field(default_factory=Readiness)

    def __getattr__(self, name: str) -> StandIn:
        if name in {"friends", "bulk", "suggestions", "users", "flags"}:
            return self.any
        raise AttributeError(name)
