"""Users: create, rename, export, erase."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graph_service.errors import UserNotFound
from graph_service.friends.friends import Changed
from graph_service.graph.driver import Graph

Eraser = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Erases one user in one store; returns what it did, for the report."""
ShardOf = Callable[[str], int]
Created = Callable[[Sequence[str]], Awaitable[None]]
"""Called with the ids of new users after the commit; must not wait for anything."""


async def ignore_created(_users: Sequence[str]) -> None:
    """For processes without a bridge: PubNub is not asked about new users."""


@dataclass(frozen=True, slots=True)
class UserProfile:
    """One user to create or rename."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """Which users were created, and which were renamed."""

    created: Sequence[str]
    renamed: Sequence[str]


class Users:
    """Users and their profile.

    `erasers` are the other stores (cached suggestions, App Context, …) by name: an erase calls each and reports it.
    Every method raises GraphUnavailable when the graph does not respond.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        shard_of: ShardOf,
        changed: Changed,
        erasers: Mapping[str, Eraser] | None = None,
        created: Created,
    ) -> None:
        self._graph = graph
        self._shard_of = shard_of
        self._changed = changed
        self._erasers = dict(erasers or {})
        self._created = created

    async def upsert_many(self, users: Sequence[UserProfile]) -> Upserted:
        """Create or rename users in one transaction; of a repeated id the last name counts."""
        rows = [[user.id, user.name, self._shard_of(user.id)] for user in users]
        row = await self._graph.write("users_upsert", rows=list({row[0]: row for row in rows}.values())) or {}
        if row["created"]:
            await self._created(row["created"])
        return Upserted(created=row["created"], renamed=row["renamed"])

    async def upsert(self, user: str, name: str) -> bool:
        """Create or rename one user; True if the user is new."""
        return bool((await self.upsert_many([UserProfile(user, name)])).created)

    async def export(self, user: str) -> dict[str, Any]:
        """Everything that the graph holds of one user.

        Raises:
            UserNotFound: no such user.
        """
        row = await self._graph.row("user_export", id=user)
        if row is None:
            raise UserNotFound(id=user)
        return row

    async def erase(self, user: str) -> dict[str, Mapping[str, Any]]:
        """Erase a user in every store; returns a report for each. Friends are notified that the friendship ended.

        The graph comes last, so that an erase that fails half-way can be repeated.

        Raises:
            UserNotFound: no such user, or erased before.
        """
        exists = (await self._graph.row("existing_ids", ids=[user]) or {})["ids"]
        if not exists:
            raise UserNotFound(id=user)
        report: dict[str, Mapping[str, Any]] = {}
        for store, eraser in self._erasers.items():
            report[store] = await eraser(user)
        row = await self._graph.write("user_erase", id=user)
        if row is None:
            raise UserNotFound(id=user)
        notified = row.pop("told")
        for friend in notified:
            await self._changed(user, friend)
        return {"graph": row | {"told": len(notified)}, **report}
