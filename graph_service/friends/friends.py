"""The rules of friendship: request, accept, decline, end, block, and the lists of each.

Each action is one transaction that locks both users in order of id, checks, acts, writes the outbox node
(transactional outbox) and returns what it changed. Side effects of a change (cached suggestions dropped, the outbox
relay woken up) happen after the commit. Every action is idempotent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

from graph_service.errors import (
    BadInput,
    BlockedByCaller,
    FriendLimitReached,
    NotFound,
    PendingLimitReached,
    UserNotFound,
)
from graph_service.graph.driver import Graph, Row
from graph_service.model.model import (
    FriendDetail,
    FriendPage,
    FriendRow,
    Outcome,
    Relation,
    RelationPage,
    State,
    rounded_down,
)

Changed = Callable[[str, str], Awaitable[None]]
"""Called with both ids after the commit of a change."""

Filter = Literal["all", "online", "offline"]
Direction = Literal["in", "out"]

ONLINE: dict[Filter, bool | None] = {"all": None, "online": True, "offline": False}


class NotFriends(NotFound):
    """'{id}' is not a friend of yours."""

    code = "not_friends"


async def ignore_changes(_a: str, _b: str) -> None:
    """For tools that change friendships without an API beside them: no cache to drop, no relay to wake up."""


class Friends:
    """Friendships, requests and blocks. `lastSeen` is rounded down to `last_seen_rounding_seconds`.

    Every method raises GraphUnavailable when the graph does not respond, and UserNotFound for an unknown id.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        friend_limit: int = 10_000,
        pending_limit: int = 1_000,
        changed: Changed,
        last_seen_rounding_seconds: int = 0,
    ) -> None:
        self._graph = graph
        self._rounding = last_seen_rounding_seconds
        self._limits = {"friend_limit": friend_limit, "pending_limit": pending_limit}
        self._changed = changed

    # Actions -------------------------------------------------------------------------------------------------

    async def ask(self, me: str, other: str) -> Outcome:
        """Request friendship, or accept where the other user has requested it.

        Raises:
            BlockedByCaller: the caller has blocked the other.
            FriendLimitReached: either user has the maximum. PendingLimitReached: too many pending requests.
        """
        outcome = (await self._act("request_or_accept", me, other, **self._limits))["outcome"]
        self._raise_refusal(outcome, me, other)
        changed = outcome in {"accepted", "asked"}
        if changed:
            await self._changed(me, other)
        return Outcome(
            state=State.REQUESTED if outcome in {"asked", "requested"} else State.FRIENDS, changed=changed
        )

    async def remove(self, me: str, other: str) -> Outcome:
        """End a friendship."""
        return await self._end("unfriend", me, other)

    async def cancel_or_decline(self, me: str, other: str) -> Outcome:
        """Cancel the caller's request, or decline the other user's."""
        return await self._end("cancel_request", me, other)

    async def block(self, me: str, other: str) -> Outcome:
        """Block, which ends friendship and requests in both directions. To the other user it looks like an unfriend."""
        return await self._end("block", me, other, State.BLOCKED)

    async def unblock(self, me: str, other: str) -> Outcome:
        """End a block; a request that it hid is shown again."""
        return await self._end("unblock", me, other)

    # Lists ---------------------------------------------------------------------------------------------------

    async def page(
        self, me: str, state: Filter = "all", after: str | None = None, limit: int = 100
    ) -> FriendPage:
        """A page of friends in order of id."""
        row = await self._list("friends_page", me, after, limit, online=ONLINE[state])
        friends = [FriendRow(*values) for values in existing(row, "names", "onlines", "last_seens", "sinces")]
        return FriendPage(friends=friends[:limit], next=_next(row["ids"], limit), ts=row["ts"])

    async def one(self, me: str, other: str) -> FriendDetail:
        """One friend, with the number of mutual friends.

        Raises:
            NotFriends: the two are not friends.
        """
        row = await self._graph.row("friend", me=me, other=other)
        if row is None:
            raise NotFriends(id=other)
        seen = rounded_down(row["last_seen"], self._rounding)
        friend = FriendRow(row["id"], row["name"], row["online"], seen, row["since"])
        return FriendDetail(friend=friend, mutual=row["mutual"], ts=row["ts"])

    async def mutual(self, me: str, other: str, after: str | None = None, limit: int = 100) -> FriendPage:
        """A page of the mutual friends of two users, in order of id, and how many there are.

        Raises:
            NotFriends: the two are not friends; only friends may see it.
        """
        row = await self._graph.row("are_friends", me=me, other=other)
        if row is None or not row["friends"]:
            raise NotFriends(id=other)
        found = await self._list("mutual_page", me, after, limit, other=other)
        friends = [FriendRow(*values) for values in existing(found, "names", "onlines", "last_seens")]
        return FriendPage(
            friends=friends[:limit], next=_next(found["ids"], limit), ts=found["ts"], total=found["total"]
        )

    async def requests(
        self, me: str, direction: Direction = "in", after: str | None = None, limit: int = 100
    ) -> RelationPage:
        """A page of pending requests, to the caller or by the caller, in order of id."""
        return _relations(await self._list(f"requests_{direction}", me, after, limit), limit)

    async def blocks(self, me: str, after: str | None = None, limit: int = 100) -> RelationPage:
        """A page of users whom the caller has blocked, in order of id."""
        return _relations(await self._list("blocks_page", me, after, limit), limit)

    # Steps ---------------------------------------------------------------------------------------------------

    async def _end(self, query: str, me: str, other: str, state: State = State.NONE) -> Outcome:
        changed = bool((await self._act(query, me, other))["changed"])
        if changed:
            await self._changed(me, other)
        return Outcome(state=state, changed=changed)

    async def _act(self, query: str, me: str, other: str, **parameters: Any) -> Row:
        if me == other:
            raise BadInput(field="id", reason="is your own; friendships are between two people")
        row = await self._graph.write(query, me=me, other=other, **parameters)
        if row is None:
            raise UserNotFound(id=await self._missing(me, other))
        return row

    async def _list(self, query: str, me: str, after: str | None, limit: int, **parameters: Any) -> Row:
        row = await self._graph.row(query, me=me, after=after or "", limit=limit + 1, **parameters)
        if row is None:
            raise UserNotFound(id=me)
        if self._rounding and "last_seens" in row:
            row["last_seens"] = [rounded_down(one, self._rounding) for one in row["last_seens"]]
        return row

    async def _missing(self, me: str, other: str) -> str:
        known = (await self._graph.row("existing_ids", ids=[me, other]) or {})["ids"]
        return other if me in known else me

    def _raise_refusal(self, outcome: str, me: str, other: str) -> None:
        if outcome == "blocking":
            raise BlockedByCaller(id=other)
        if outcome == "pending_full":
            raise PendingLimitReached(id=me, limit=self._limits["pending_limit"])
        if outcome in {"me_full", "other_full"}:
            full = me if outcome == "me_full" else other
            raise FriendLimitReached(id=full, limit=self._limits["friend_limit"])


def _relations(row: Row, limit: int) -> RelationPage:
    relations = [Relation(*values) for values in existing(row, "names", "ats")]
    return RelationPage(relations=relations[:limit], next=_next(row["ids"], limit))


def existing(row: Row, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The columns of a list with its ids, without users that were erased while it was read (their id is null)."""
    for values in zip(row["ids"], *(row[column] for column in columns), strict=True):
        if values[0] is not None:
            yield values


def _next(ids: list[str | None], limit: int) -> str | None:
    """The id after which the next page begins. Queries read one more than the page: where it is there, there is more."""
    return next((id_ for id_ in reversed(ids[:limit]) if id_), None) if len(ids) > limit else None
