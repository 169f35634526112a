"""What the benchmarks of the publish path, of settling and of warming up decide by themselves."""

from __future__ import annotations

import numpy as np

from bench.bridge.publish import Case, Measured, times_the_sdk
from bench.bridge.publishers import Figures, messages
from bench.harness import degrees, measure


def measured(way: str, rate: float, delay_ms: int = 0, tls: bool = False, loop: str = "uvloop") -> Measured:
    """One client's figures, of which only the rate counts here."""
    return Measured(Case(way, delay_ms, tls, loop), Figures(1, rate, 1.0, 1.0, 1.0, 1.0))


def test_the_fastest_handler_on_either_loop_is_what_we_are_held_against() -> None:
    """At no delay and without TLS; anything else is shown, not judged."""
    near = [measured("SDK, httpx", 10), measured("SDK, aiohttp", 20), measured("ours", 600)]
    asyncio_loop = [measured("SDK, aiohttp", 30, loop="asyncio"), measured("ours", 900, loop="asyncio")]
    far = [measured("SDK, aiohttp", 1, delay_ms=20), measured("ours", 100, delay_ms=20)]
    assert times_the_sdk([*near, *asyncio_loop, *far, measured("ours", 1, tls=True)]) == 20


def test_without_one_of_the_two_nothing_is_claimed() -> None:
    """A run of only some clients."""
    assert times_the_sdk([measured("ours", 600)]) is None
    assert times_the_sdk([measured("SDK, httpx", 10)]) is None


def test_every_client_publishes_the_same_messages() -> None:
    """One friend.online each, on inboxes that differ."""
    made = messages(50)
    assert len({one.channel for one in made}) == 50
    assert {one.value["type"] for one in made} == {"friend.online"}


def test_everybody_of_a_group_has_exactly_so_many_friends() -> None:
    """All of the crowd, each once."""
    people, groups = degrees.population(1)
    counts = np.bincount(people.pairs[:, 1], minlength=len(people.ids))
    for friends, users in groups.items():
        assert {int(counts[people.ids.index(user)]) for user in (users[0], users[-1])} == {friends}
    assert people.pairs[:, 0].max() < degrees.CROWD
    assert len(np.unique(people.pairs, axis=0)) == len(people.pairs)


async def test_a_warm_up_ends_when_answers_take_no_less_time() -> None:
    """The first call stands alone; a server that never gets steady is given up after the time."""
    rounds = await measure.until_steady(_at_once)
    assert [one.calls for one in rounds[:3]] == ["1", "2-200", "201-400"]
    assert [one.calls for one in await measure.until_steady(_at_once, max_seconds=0.0)] == ["1"]


async def _at_once(_: int) -> None:
    """An answer."""
