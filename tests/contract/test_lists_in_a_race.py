"""Lists that are read during changes: with read committed, rows vanish between two steps of a query."""

from __future__ import annotations

import asyncio

from graph_service.friends.friends import Friends, ignore_changes
from graph_service.friends.presence_flags import Flags
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from tests.contract.test_friends import create_users, visible

ASKERS = [f"asker{number}" for number in range(8)]


async def test_lists_that_are_read_during_changes_are_complete(graph: Graph) -> None:
    """Requests that end and users who are erased while a list is read cause no partial row and no error."""
    people = await create_users(graph, "ann", *ASKERS)
    friends, flags = Friends(graph=graph, changed=ignore_changes), Flags(graph=graph)
    stop = asyncio.Event()

    async def come_and_go(asker: str) -> None:
        for turn in range(20):
            await friends.ask(asker, "ann")
            await friends.cancel_or_decline("ann", asker)
            if turn % 10 == 9:
                await people.erase(asker)
                await Users(
                    graph=graph, shard_of=lambda _: 0, changed=ignore_changes, created=ignore_created
                ).upsert_many([UserProfile(asker, "Again")])
        stop.set()

    async def read() -> None:
        while not stop.is_set():
            seen = await visible(friends, "ann")
            assert set(seen["in"]) <= set(ASKERS)
            assert {one.id for one in await flags.presence(ASKERS)} <= set(ASKERS)

    await asyncio.gather(*(come_and_go(asker) for asker in ASKERS), *(read() for _ in range(8)))
