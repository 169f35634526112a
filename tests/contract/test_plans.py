"""The plan of every query on the real server, compared with its header."""

from __future__ import annotations

from typing import Any

import pytest

from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.graph.queries import catalogue
from graph_service.model.model import Pair
from tests.conftest import wipe

PARAMETERS: dict[str, Any] = {
    "me": "u1", "other": "u2", "id": "u1", "ids": ["u1", "u2"], "after": "", "limit": 10, "online": None,
    "friend_limit": 10, "pending_limit": 10, "invisible": True, "shards": [1, 2], "pairs": [["u1", "u2", 0]],
    "tell": True, "nodes": ["4:x:1"], "owner": "x", "seconds": 1, "version": "1", "description": "", "source": "",
    "checksum": "", "took": 1, "edges": 10, "by": "", "connected_as": "",
}  # fmt: skip
ROWS = {"write_flags": [["u1", True, 1, 0]], "users_upsert": [["u1", "One", 0]]}

PEOPLE, FRIENDS = 400, 200
"""Enough friends that the planner estimates them dearer than the few users who are online."""


@pytest.fixture(scope="module")
async def populated(migrated: Graph) -> Graph:
    """Enough users and friends that the planner chooses as it does in production."""
    await wipe(migrated)
    await Users(
        graph=migrated, shard_of=lambda _: 0, changed=ignore_changes, created=ignore_created
    ).upsert_many([UserProfile(f"u{number}", "") for number in range(PEOPLE)])
    for step in range(1, FRIENDS // 2 + 1):
        pairs = [Pair(f"u{n}", f"u{(n + step) % PEOPLE}") for n in range(PEOPLE)]
        await Bulk(graph=migrated, changed=ignore_changes).batch(pairs, notify=False)
    # Plans that other tests made on other numbers live for ten seconds.
    await migrated.statement("CALL db.resampleOutdatedIndexes()")
    await migrated.statement("CALL db.clearQueryCaches()")
    return migrated


def operators(plan: dict[str, Any]) -> list[str]:
    """Every operator of a plan, with the kind of expansion in brackets."""
    name = plan["operatorType"].partition("@")[0]
    return [name, *(found for child in plan.get("children", []) for found in operators(child))]


def pure_product(plan: dict[str, Any]) -> bool:
    """Whether every product of the plan joins two unique seeks, which is how two known users are found."""
    name = plan["operatorType"].partition("@")[0]
    children = plan.get("children", [])
    fine = name != "CartesianProduct" or all("NodeUniqueIndexSeek" in operators(child) for child in children)
    return fine and all(pure_product(child) for child in children)


@pytest.mark.parametrize("name", sorted(catalogue()))
async def test_a_plan_holds_what_its_header_says_and_scans_nothing(populated: Graph, name: str) -> None:
    """The operators named are there; no scan that is not named, no open product, no Eager without a reason.

    No user is online here, so that a plan which starts at online users looks cheap to the planner, as it does when
    a system begins: such a plan stays while thousands arrive.
    """
    query = catalogue()[name]
    plan = await populated.explain(query.text, **PARAMETERS, rows=ROWS.get(name, []))
    found = operators(plan)
    wanted = {operator for operator in query.operators if operator != "Eager"}
    assert wanted <= {simple(one) for one in found}, found
    assert {one for one in found if one.endswith("Scan")} <= wanted, found
    assert pure_product(plan), found
    if not query.may_be_eager:
        assert not any("Eager" in one for one in found if not one.startswith("EagerAggregation")), found


def simple(operator: str) -> str:
    """An operator by the name that headers use: locking and write variants are the same look-up."""
    return {"NodeUniqueIndexSeek(Locking)": "NodeUniqueIndexSeek"}.get(operator, operator)
