"""Many clients on few users at once: invariants that hold in every order."""

from __future__ import annotations

import asyncio
import random

from graph_service.errors import BlockedByCaller
from graph_service.friends.friends import Friends, ignore_changes
from graph_service.friends.presence_flags import Flags
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag, Outcome
from tests.contract.test_friends import create_users
from tests.support.reference import ACTIONS

USERS = [f"u{number:02}" for number in range(20)]
CLIENTS = 64
CALLS = 40


async def test_64_clients_on_20_users_leave_no_duplicate_no_half_state_and_no_error(graph: Graph) -> None:
    """Adding, removing, blocking, flagging; every changed pair has its outbox node."""
    await create_users(graph, *USERS)
    friends, flags = Friends(graph=graph, changed=ignore_changes), Flags(graph=graph)
    changed: list[tuple[str, str]] = []
    clock = iter(range(1, 1_000_000))

    async def client(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(CALLS):
            me, other = chance.sample(USERS, 2)
            if chance.random() < 0.3:
                some = chance.sample(USERS, 12)
                await flags.write_flags([Flag(user, chance.random() < 0.5, next(clock), 0) for user in some])
            elif (await act(friends, chance.choice((*ACTIONS, "ask", "ask")), me, other)).changed:
                changed.append((min(me, other), max(me, other)))

    await asyncio.gather(*(client(seed) for seed in range(CLIENTS)))
    assert (
        await graph.statement(
            "MATCH (a:User)-[r:FRIEND|REQUESTED|BLOCKED]->(b:User) WITH a, b, type(r) AS t, count(*) AS n "
            "WHERE n > 1 RETURN a.id, b.id, t, n"
        )
        == []
    ), "a relation exists twice"
    assert (
        await graph.statement(
            "MATCH (a:User)-[:FRIEND]->(b:User) WHERE a.id >= b.id OR (b)-[:FRIEND]->(a) "
            "OR (a)-[:REQUESTED|BLOCKED]-(b) RETURN a.id, b.id"
        )
        == []
    ), "friends who also ask or block, or an edge the wrong way round"
    assert (
        await graph.statement(
            "MATCH (a:User)-[:BLOCKED]->(b:User) WHERE (a)-[:REQUESTED]->(b) RETURN a.id, b.id"
        )
        == []
    ), "a blocker who asks"
    rows = await graph.statement("MATCH (o:Outbox) RETURN DISTINCT o.a AS a, o.b AS b")
    related = await graph.statement(
        "MATCH (a:User)-[:FRIEND|REQUESTED]-(b:User) WHERE a.id < b.id RETURN DISTINCT a.id AS a, b.id AS b"
    )
    in_outbox = {(row["a"], row["b"]) for row in rows}
    assert {(row["a"], row["b"]) for row in related} <= in_outbox <= set(changed)
    assert len(changed) > 300, "the clients did change things"


async def act(friends: Friends, action: str, me: str, other: str) -> Outcome:
    """One action; a refusal because of the user's own block is a result, not an error."""
    try:
        result: Outcome = await getattr(friends, action)(me, other)
    except BlockedByCaller:
        return Outcome(state="blocked", changed=False)  # type: ignore[arg-type]
    return result
