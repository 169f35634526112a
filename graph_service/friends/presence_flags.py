"""Online flags: rows 6 and 7 of the walk, and what reads them whole. Knows queries, not presence events or inboxes."""

from __future__ import annotations

from collections.abc import Sequence

from graph_service.concurrency.batch_loader import BatchLoader
from graph_service.errors import UserNotFound
from graph_service.friends.friends import there
from graph_service.graph.driver import Graph, Row
from graph_service.model.model import CommitResult, Flag, Presence, PresenceSnapshot, SyncView, rounded_down


class Flags:
    """The settled state of users in the graph; when they were last seen, to `rounding` seconds.

    Every method raises GraphUnavailable when the graph does not answer.
    """

    def __init__(self, graph: Graph, rounding: int = 0) -> None:
        self._graph = graph
        self._rounding = rounding
        self._syncs = BatchLoader(read=self._read_syncs, min_interval_seconds=0.0)  # somebody waits for each
        self._known = BatchLoader(read=self._read_known)

    async def write_flags(self, flags: Sequence[Flag]) -> CommitResult:
        """Writes flags where they are not older than the graph's, in one committed transaction.

        Each user at most once. To tell anybody, call `tell` afterwards: it must begin after this commit.
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
        """Own state, online friends and clock of each user, from one statement; unknown ids are left out."""
        return [
            _told(row, self._rounding) for row in await self._graph.rows("read_online_friends", ids=list(ids))
        ]

    async def sync(self, user: str) -> SyncView:
        """What friends.sync tells, from a read begun after this call; those asked for at one moment are read together.

        Raises:
            UserNotFound: no such user.
        """
        view = await self._syncs.load(user)
        if view is None:
            raise UserNotFound(id=user)
        return view

    async def exists(self, user: str) -> bool:
        """Whether there is such a user; those asked for at one moment are looked up together."""
        return bool(await self._known.load(user))

    async def online_in_shards(self, shards: Sequence[int]) -> dict[str, int]:
        """Who is flagged online in these shards, with the `at` of the flag in milliseconds."""
        row = await self._graph.row("online_in_shards", shards=list(shards)) or {}
        return dict(there(row, "ats"))

    async def online_count(self) -> int:
        """How many users are flagged online, the invisible among them."""
        row = await self._graph.row("online_count") or {}
        return int(row["online"])

    async def presence(self, ids: Sequence[str]) -> list[Presence]:
        """State of each known user, for the product's back end. The invisible are shown offline."""
        row = await self._graph.row("presence_query", ids=list(ids)) or {}
        rows = there(row, "onlines", "last_seens")
        return [Presence(user, online, rounded_down(seen, self._rounding)) for user, online, seen in rows]

    async def set_visibility(self, user: str, invisible: bool) -> bool:
        """Makes a user appear offline, or visible again; whether that changed anything. The outbox holds it until friends are told.

        Raises:
            UserNotFound: no such user.
        """
        row = await self._graph.write("visibility", me=user, invisible=invisible)
        if row is None:
            raise UserNotFound(id=user)
        return bool(row["changed"])

    async def _read_syncs(self, users: list[str]) -> dict[str, SyncView]:
        told = await self.read_snapshots(users)
        return {one.user: SyncView(one.visible_friends, one.total_friends, one.ts) for one in told}

    async def _read_known(self, users: list[str]) -> dict[str, bool]:
        row = await self._graph.row("existing_ids", ids=users) or {}
        return dict.fromkeys(row["ids"], True)

    async def clock(self) -> int:
        """The graph's clock, microseconds since the epoch."""
        row = await self._graph.row("clock") or {}
        return int(row["ts"])


def _told(row: Row, rounding: int) -> PresenceSnapshot:
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
