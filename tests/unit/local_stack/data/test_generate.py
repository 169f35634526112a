"""Generated populations stay within their bounds for every input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_service.model.ids import why_not
from local_stack.data import degrees
from local_stack.data.degrees import Impossible
from local_stack.data.generate import BadNumbers, Population, clustering, generate
from local_stack.data.generated_csv import write


def friends(population: Population) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of friends of each user."""
    return np.bincount(population.pairs.ravel(), minlength=len(population.ids))


@given(
    people=st.integers(1, 300),
    low=st.integers(0, 60),
    room=st.integers(0, 100),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_every_graph_keeps_its_bounds(people: int, low: int, room: int, seed: int) -> None:
    """Exact bounds, no self, no pair twice, smaller index first, for any size."""
    try:
        population = generate(people, low, low + room, seed)
    except Impossible:
        assert population_is_impossible(people, low, low + room)
        return
    pairs = population.pairs
    assert (pairs[:, 0] < pairs[:, 1]).all()
    keys = pairs[:, 0] * people + pairs[:, 1]
    assert (np.diff(keys) > 0).all(), "sorted, none twice"
    if people > 1:
        assert friends(population).min() >= population.low
        assert friends(population).max() <= population.high
    assert (population.low, population.high) == (min(low, people - 1), min(low + room, people - 1))


def population_is_impossible(people: int, low: int, high: int) -> bool:
    """An odd number of users cannot have the same odd number of friends each."""
    low, high = min(low, people - 1), min(high, people - 1)
    return low == high and people * low % 2 == 1


def test_a_seed_determines_the_graph() -> None:
    """The same seed gives the same users and friendships, another one others."""
    one, same, other = (generate(400, 20, 60, seed) for seed in (7, 7, 8))
    assert one.names == same.names
    assert np.array_equal(one.pairs, same.pairs)
    assert one.names != other.names
    assert not np.array_equal(one.pairs, other.pairs)


def test_three_thousand_users_have_about_750_friends_each() -> None:
    """The demo's population: the requested bounds, the mean in the middle, not all alike."""
    population = generate(3000, 500, 1000, 1)
    have = friends(population)
    assert (population.low, population.high) == (500, 1000)
    assert 730 < have.mean() < 770
    assert have.std() > 80


def test_friends_of_one_user_are_often_friends() -> None:
    """Clustering is several times that of a random graph of the same size."""
    population = generate(4000, 40, 80, 1)
    density = 2 * len(population.pairs) / 4000**2
    assert clustering(population.pairs, 4000) > 5 * density


def test_clustering_of_known_graphs() -> None:
    """A triangle has 1, a star 0."""
    assert clustering(np.array([[0, 1], [0, 2], [1, 2]]), 3) == 1.0
    assert clustering(np.array([[0, 1], [0, 2], [0, 3]]), 4) == 0.0


def test_few_users_get_fewer_friends_than_requested() -> None:
    """The bounds shrink to what is possible, and the population has the actual ones."""
    population = generate(6, 500, 1000, 1)
    assert (population.low, population.high) == (5, 5)
    assert len(population.pairs) == 15


@pytest.mark.parametrize(("people", "low", "high"), [(0, 1, 2), (10, 5, 4), (10, -1, 4)])
def test_numbers_that_make_no_sense_are_refused(people: int, low: int, high: int) -> None:
    """No users, a reversed range, a negative number of friends."""
    with pytest.raises((BadNumbers, Impossible)):
        generate(people, low, high, 1)


def test_ids_are_in_order_and_fit_channel_names() -> None:
    """The order of indices is the order of ids, and PubNub accepts each."""
    ids = generate(50, 2, 5, 1).ids
    assert ids == sorted(ids)
    assert [why_not(one) for one in ids] == [None] * 50


def test_trimming_leaves_no_user_with_too_many() -> None:
    """A complete graph of ten, trimmed to at most three friends each."""
    full = np.flatnonzero(np.triu(np.ones((10, 10)), 1).ravel())
    most = np.full(10, 3)
    assert degrees.counted(degrees.trim(full, most, np.random.default_rng(1)), 10).max() <= 3


def test_the_files_hold_the_population(tmp_path: Path) -> None:
    """Users with names, friendships with plausible times, line by line."""
    population = generate(30, 3, 8, 1)
    counts: list[int] = []
    write(population, tmp_path, 1, counts.append)
    with (tmp_path / "people.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    with (tmp_path / "friendships.csv").open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    assert [(one["id"], one["name"]) for one in people] == list(
        zip(population.ids, population.names, strict=True)
    )
    ids = population.ids
    assert [(one["a"], one["b"]) for one in pairs] == [(ids[a], ids[b]) for a, b in population.pairs.tolist()]
    assert all(1_262_304_000 <= int(one["since"]) <= 1_767_225_600 for one in pairs)
    assert sum(counts) == len(pairs)
