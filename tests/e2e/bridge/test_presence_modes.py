"""Friends end with the same view in every presence mode of PubNub: announced, in intervals, with and without names."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.e2e.bridge.conftest import World, eventually
from tests.e2e.bridge.test_churn import Person, all_right, right

PEOPLE = [f"user{number}" for number in range(8)]
MODES: dict[str, dict[str, Any]] = {
    "announced": {"announce_max": 100},
    "named in intervals": {"announce_max": 0, "interval_s": 0.5},
    "intervals without names": {"announce_max": 0, "interval_s": 0.5, "deltas": False},
    "intervals too large for names": {"announce_max": 0, "interval_s": 0.5, "deltas_max_bytes": 1},
    "too large, some names": {
        "announce_max": 0,
        "interval_s": 0.5,
        "deltas_max_bytes": 1,
        "refresh_arrays": "partial",
    },
}


@pytest.mark.parametrize("mode", MODES)
async def test_final_views_are_the_same_in_every_presence_mode(world: World, mode: str) -> None:
    """All come, some leave, one of those comes back, all before the next scheduled reconcile."""
    assert world.settings.reconcile_interval_seconds >= 300
    world.origin.origin.keysets["demo"].configure({"presence": MODES[mode]})
    await world.create_friends(*PEOPLE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        people = [Person(user, world, session) for user in PEOPLE]
        for person in people:
            await person.toggle()
        await settled(world, people)
        for person in people[4:]:
            await person.toggle()
        await settled(world, people)
        await people[4].toggle()
        await settled(world, people)
        for person in people:
            if person.loop is not None:
                person.loop.cancel()


async def settled(world: World, people: list[Person]) -> None:
    """Wait until every flag and view is right; fails with what is wrong."""
    try:
        await eventually(lambda: all_right(world, people))
    except TimeoutError:
        assert await right(world, people) == []
