"""Pure parts of the benchmarks of publishing, commits and warm-up."""

from __future__ import annotations

import numpy as np

from bench.bridge.publish import Case, Measured, times_the_sdk
from bench.bridge.publishers import Figures, messages
from bench.harness import degrees, measure


def measured(way: str, rate: float, delay_ms: int = 0, tls: bool = False, loop: str = "uvloop") -> Measured:
    """Figures of one client, of which only the rate matters here."""
    return Measured(Case(way, delay_ms, tls, loop), Figures(1, rate, 1.0, 1.0, 1.0, 1.0))


def test_our_rate_is_compared_with_the_fastest_handler_on_either_loop() -> None:
    """Without delay and TLS; other cases are shown and not compared."""
    near = [measured("SDK, httpx", 10), measured("SDK, aiohttp", 20), measured("ours", 600)]
    asyncio_loop = [measured("SDK, aiohttp", 30, loop="asyncio"), measured("ours", 900, loop="asyncio")]
    far = [measured("SDK, aiohttp", 1, delay_ms=20), measured("ours", 100, delay_ms=20)]
    assert times_the_sdk([*near, *asyncio_loop, *far, measured("ours", 1, tls=True)]) == 20


def test_without_one_of_the_two_there_is_no_ratio() -> None:
    """In a run of only some clients."""
    assert times_the_sdk([measured("ours", 600)]) is None
    assert times_the_sdk([measured("SDK, httpx", 10)]) is None


def test_every_client_publishes_the_same_messages() -> None:
    """One friend.online each, to different inboxes."""
    made = messages(50)
    assert len({one.channel for one in made}) == 50
    assert {one.value["type"] for one in made} == {"friend.online"}


def test_every_user_of_a_group_has_exactly_so_many_friends() -> None:
    """All friends are of the crowd, each once."""
    population, groups = degrees.population(1)
    counts = np.bincount(population.pairs[:, 1], minlength=len(population.ids))
    for friends, users in groups.items():
        assert {int(counts[population.ids.index(user)]) for user in (users[0], users[-1])} == {friends}
    assert population.pairs[:, 0].max() < degrees.CROWD
    assert len(np.unique(population.pairs, axis=0)) == len(population.pairs)


async def test_a_warm_up_ends_when_the_latency_is_steady() -> None:
    """The first call is a round by one call. A server that never becomes steady ends at the time limit."""
    rounds = await measure.until_steady(_at_once)
    assert [one.calls for one in rounds[:3]] == ["1", "2-200", "201-400"]
    assert [one.calls for one in await measure.until_steady(_at_once, max_seconds=0.0)] == ["1"]


async def _at_once(_: int) -> None:
    """Returns at once."""
