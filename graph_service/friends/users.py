"""People: who exists, what is kept of them, and how they are erased. Knows queries and shards; no HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graph_service.errors import UserNotFound
from graph_service.friends.friends import Changed, ignore_changes
from graph_service.graph.driver import Graph

Eraser = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Erases one user in one store; what it did, for the report."""
ShardOf = Callable[[str], int]
Created = Callable[[Sequence[str]], Awaitable[None]]
"""Told of new users after the commit; must not wait for anything."""


async def ignore_created(_users: Sequence[str]) -> None:
    """New users are of no interest to anybody."""


@dataclass(frozen=True, slots=True)
class UserProfile:
    """One user to be created or renamed."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Upserted:
    """Which ids are new, and which have another name now."""

    created: Sequence[str]
    renamed: Sequence[str]


class Users:
    """Users and their profile.

    `erasers` are the other stores (kept answers, App Context, …) by name: each is asked at an erase and reported.
    Every method raises GraphUnavailable when the graph does not answer.
    """

    def __init__(
        self,
        graph: Graph,
        shard_of: ShardOf,
        changed: Changed = ignore_changes,
        erasers: Mapping[str, Eraser] | None = None,
        created: Created = ignore_created,
    ) -> None:
        self._graph = graph
        self._shard_of = shard_of
        self._changed = changed
        self._erasers = dict(erasers or {})
        self._created = created

    async def upsert_many(self, people: Sequence[UserProfile]) -> Upserted:
        """Creates or renames users in one transaction; of one id given twice the last name counts."""
        rows = [[person.id, person.name, self._shard_of(person.id)] for person in people]
        row = await self._graph.write("users_upsert", rows=list({row[0]: row for row in rows}.values())) or {}
        if row["created"]:
            await self._created(row["created"])
        return Upserted(row["created"], row["renamed"])

    async def upsert(self, user: str, name: str) -> bool:
        """Creates or renames one user; whether the user is new."""
        return bool((await self.upsert_many([UserProfile(user, name)])).created)

    async def export(self, user: str) -> dict[str, Any]:
        """Everything the graph holds of one user.

        Raises:
            UserNotFound: no such user.
        """
        row = await self._graph.row("user_export", id=user)
        if row is None:
            raise UserNotFound(id=user)
        return row

    async def erase(self, user: str) -> dict[str, Mapping[str, Any]]:
        """Erases a user everywhere; a report per store. Friends are told that the friendship ended.

        The graph comes last, so that an erase which fails half-way can be asked for again.

        Raises:
            UserNotFound: no such user, or erased before.
        """
        known = (await self._graph.row("existing_ids", ids=[user]) or {})["ids"]
        if not known:
            raise UserNotFound(id=user)
        report: dict[str, Mapping[str, Any]] = {}
        for store, eraser in self._erasers.items():
            report[store] = await eraser(user)
        row = await self._graph.write("user_erase", id=user)
        if row is None:
            raise UserNotFound(id=user)
        told = row.pop("told")
        for friend in told:
            await self._changed(user, friend)
        return {"graph": row | {"told": len(told)}, **report}
