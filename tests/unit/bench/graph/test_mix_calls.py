"""The mix calls the API with users and friendships of the population."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bench.graph.mix_calls import Neighbours, RequestRunner
from bench.graph.workload import Op
from local_stack.data.generate import Population, generate


@pytest.fixture(scope="module")
def population() -> Population:
    return generate(60, 10, 20, 1)


def test_a_neighbour_is_a_friend_in_either_direction(population: Population) -> None:
    """And every friend is returned at some time."""
    friends = {frozenset((population.ids[a], population.ids[b])) for a, b in population.pairs.tolist()}
    neighbours, chance = Neighbours(population), random.Random(1)
    met = {neighbours.one(population.ids[7], chance) for _ in range(500)}
    assert met == {next(iter(pair - {population.ids[7]})) for pair in friends if population.ids[7] in pair}


def test_the_users_with_the_most_friends_are_found(population: Population) -> None:
    degrees = Counter(population.pairs.ravel().tolist())
    most = Neighbours(population).most(5)
    assert sorted(degrees[population.ids.index(user)] for user in most) == sorted(degrees.values())[-5:]


async def test_an_acceptance_accepts_an_earlier_request(population: Population) -> None:
    """In the name of the user who received it. No user sends a request to themselves."""
    sent: list[tuple[str, str, str]] = []

    class Recorder:
        async def call(self, method: str, path: str, user: str) -> bytes:
            sent.append((method, path, user))
            return b"{}"

    runner = RequestRunner(
        backend=Recorder(),
        population=population,
        seed=1,
        operations=iter([Op.ASK, Op.ACCEPT, Op.PAGE, Op.BLOCK]),
    )
    for number in range(4):
        await runner.ask(number)
    (ask, accept, page, block) = sent
    assert ask[0] == accept[0] == "PUT"
    assert (accept[1], accept[2]) == (f"/v1/friends/{ask[2]}", ask[1].rpartition("/")[2])
    assert ask[2] != accept[2]
    assert page[:2] == ("GET", "/v1/friends?limit=100")
    assert block[1].startswith("/v1/blocks/")
    assert not block[1].endswith(f"/{block[2]}")
    assert runner.ops == {0: Op.ASK, 1: Op.ACCEPT, 2: Op.PAGE, 3: Op.BLOCK}
    assert not runner.rejected
