"""Online flags in the graph: the pipeline's commit and read stages, and every other read of presence.

Invariant: a read whose result is sent to clients begins after the commit that it reports, in a separate
transaction, and returns the clock of its statement as `ts`.
"""

from __future__ import annotations

from collections.abc import Sequence

from graph_service.concurrency.batch_loader import BatchLoader
from graph_service.errors import UserNotFound
from graph_service.friends.friends import existing
from graph_service.graph.driver import Graph, Row
from graph_service.model.model import CommitResult, Flag, Presence, PresenceSnapshot, SyncView, rounded_down


class Flags:
    """The settled state of users in the graph. `last_seen` is rounded down to `last_seen_rounding_seconds`.

    Every method raises GraphUnavailable when the graph does not respond.
    """

    def __init__(self, *, graph: Graph, last_seen_rounding_seconds: int = 0) -> None:
        self._graph = graph
        self._rounding = last_seen_rounding_seconds
        self._syncs = BatchLoader(read=self._read_syncs, min_interval_seconds=0.0)  # a caller waits for each
        self._existing = BatchLoader(read=self._read_existing)

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """Write flags that are not older than the stored ones, in one committed transaction; each user at most once.

        To notify friends, call `read_snapshots` afterwards: it must begin after this commit.
        """
        ids = frozenset(flag.user for flag in flags)
        if not ids:
            return CommitResult(changed=ids, duplicate=ids, stale=ids, unknown=ids, flipped=ids, hidden=ids)
        rows = [[flag.user, flag.online, flag.at, flag.shard] for flag in flags]
        answer = await self._graph.write("write_flags", rows=rows) or {}
        changed, duplicate, stale = (frozenset(answer[word]) for word in ("changed", "equal", "older"))
        return CommitResult(
            changed=changed,
            duplicate=duplicate,
            stale=stale,
            unknown=ids - changed - duplicate - stale,
            flipped=frozenset(answer["flipped"]),
            hidden=frozenset(answer["hidden"]),
        )

    async def read_snapshots(self, ids: Sequence[str]) -> list[PresenceSnapshot]:
        """State, online friends and clock for each user, from one statement; unknown ids are left out."""
        return [
            _snapshot(row, self._rounding)
            for row in await self._graph.rows("read_online_friends", ids=list(ids))
        ]

    async def sync(self, user: str) -> SyncView:
        """The content of friends.sync, from a read that begins after this call; calls of one moment share a query.

        Raises:
            UserNotFound: no such user.
        """
        view = await self._syncs.load(user)
        if view is None:
            raise UserNotFound(id=user)
        return view

    async def exists(self, user: str) -> bool:
        """Whether there is such a user; calls of one moment share a query."""
        return bool(await self._existing.load(user))

    async def online_in_shards(self, shards: Sequence[int]) -> dict[str, int]:
        """Users flagged online in these shards, with the `at` of the flag in milliseconds."""
        row = await self._graph.row("online_in_shards", shards=list(shards)) or {}
        return dict(existing(row, "ats"))

    async def online_count(self) -> int:
        """How many users are flagged online, invisible ones included."""
        row = await self._graph.row("online_count") or {}
        return int(row["online"])

    async def presence(self, ids: Sequence[str]) -> list[Presence]:
        """The state of each existing user, for the product's back end. Invisible users are offline."""
        row = await self._graph.row("presence_query", ids=list(ids)) or {}
        rows = existing(row, "onlines", "last_seens")
        return [
            Presence(id=user, online=online, last_seen=rounded_down(seen, self._rounding))
            for user, online, seen in rows
        ]

    async def set_visibility(self, user: str, invisible: bool) -> bool:
        """Make a user invisible or visible; True if that changed anything. The outbox holds the change for the relay.

        Raises:
            UserNotFound: no such user.
        """
        row = await self._graph.write("visibility", me=user, invisible=invisible)
        if row is None:
            raise UserNotFound(id=user)
        return bool(row["changed"])

    async def _read_syncs(self, users: list[str]) -> dict[str, SyncView]:
        snapshots = await self.read_snapshots(users)
        return {
            one.user: SyncView(online_friends=one.visible_friends, total_friends=one.total_friends, ts=one.ts)
            for one in snapshots
        }

    async def _read_existing(self, users: list[str]) -> dict[str, bool]:
        row = await self._graph.row("existing_ids", ids=users) or {}
        return dict.fromkeys(row["ids"], True)

    async def clock(self) -> int:
        """The graph's clock, microseconds since the epoch."""
        row = await self._graph.row("clock") or {}
        return int(row["ts"])


def _snapshot(row: Row, rounding: int) -> PresenceSnapshot:
    hidden = set(row["hidden"])
    online = row["online"]
    return PresenceSnapshot(
        user=row["id"],
        name=row["name"] or "",
        online=row["present"] and not row["invisible"],
        invisible=row["invisible"],
        present=row["present"],
        presence_at=row["presence_at"],
        last_seen=rounded_down(row["last_seen"], rounding),
        online_friends=online,
        visible_friends=[friend for friend in online if friend not in hidden] if hidden else online,
        total_friends=row["total"],
        ts=row["ts"],
    )
