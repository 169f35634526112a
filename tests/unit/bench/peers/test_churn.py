"""Who comes and goes in the comparison with peers, and who is owed which change."""

from __future__ import annotations

import hashlib

import pytest

from bench.peers.arrivals import NEVER, Arrivals, owed
from bench.peers.churn import Churn, Turn
from bench.peers.friends import HIGH, LOW, Friends, make

PEOPLE, ONLINE = 40, list(range(0, 40, 2))
RECIPE = "2e5963bb912746b2d5f28eaf474bbae6dc0e67855c2b94570ac2d7c47287d63c"
"""SHA-256 of everybody's friends among 3,000 of seed 1: quoted figures were measured on them."""


@pytest.fixture(scope="module")
def friends() -> Friends:
    """Made once: it takes seconds."""
    return make(3000)


def test_the_friends_are_those_of_the_quoted_figures(friends: Friends) -> None:
    """The recipe is fixed to the last draw."""
    text = repr([sorted(one) for one in friends.of])
    assert hashlib.sha256(text.encode()).hexdigest() == RECIPE
    assert len(friends.online) == 900
    assert round(friends.mean_online) == 225


def test_friendship_is_mutual_and_within_bounds(friends: Friends) -> None:
    """And the graph's own import gets each of them once."""
    assert all(one in friends.of[other] for one in range(50) for other in friends.of[one])
    assert all(LOW <= len(one) <= HIGH for one in friends.of)
    assert len(friends.population().pairs) == sum(map(len, friends.of)) // 2


def test_both_systems_get_the_same_turns() -> None:
    """Whatever time it is when they begin."""
    one, other = (Churn(PEOPLE, ONLINE, 3) for _ in range(2))
    first = [(t.person, t.comes, t.at) for rate in (5, 9) for t in one.at_rate(rate, 10, 0.0)]
    second = [(t.person, t.comes, t.at - 1024) for rate in (5, 9) for t in other.at_rate(rate, 10, 1024.0)]
    assert [turn[:2] for turn in first] == [turn[:2] for turn in second]
    assert [turn[2] for turn in first] == pytest.approx([turn[2] for turn in second])


def test_who_left_is_not_here_until_back() -> None:
    """And was, before."""
    churn = Churn(PEOPLE, ONLINE, 3)
    gone = next(turn for turn in churn.at_rate(5, 10, 100.0) if not turn.comes)
    assert churn.was_here(gone.person, 90.0, gone.at)
    assert not churn.was_here(gone.person, gone.at - 1, gone.at + 0.1)


def test_only_friends_who_are_there_and_stay_are_owed_a_change() -> None:
    """One who just came learns it on arrival, one who leaves meanwhile cannot be told."""
    churn = Churn(PEOPLE, ONLINE, 3)
    turns = churn.at_rate(4, 10, 100.0)
    turn = turns[len(turns) // 2]
    everybody = [set(range(PEOPLE))] * PEOPLE
    found = owed(churn, everybody, turn, patience=2.0)
    assert found
    assert all(churn.was_here(one, turn.at - 1, turn.at + 2) for one in found)
    moved = {t.person for t in turns if turn.at - 1 < t.at < turn.at + 2}
    assert moved
    assert not moved & set(found)


def test_a_repeat_is_one_delivery_and_the_first_counts() -> None:
    """Late repeats do not make a change staler."""
    arrivals, turn = Arrivals(PEOPLE), Turn(0, 1, True, 10.0)
    arrivals.begin(turn)
    number = arrivals.number(1, True)
    assert number == 0
    arrivals.heard(number, 2, 10.1)
    arrivals.heard(number, 2, 10.9)
    arrivals.heard(number, 3, 10.2)
    fresh = arrivals.freshness([turn], [[2, 3]])
    assert arrivals.deliveries(10.0, 11.0) == 2
    assert (fresh.owed, fresh.arrived) == (2, 1.0)
    assert fresh.p99 == pytest.approx(200.0)


def test_what_never_came_is_infinitely_late() -> None:
    """A lost change must not make a percentile better."""
    arrivals, turn = Arrivals(PEOPLE), Turn(0, 1, True, 10.0)
    arrivals.begin(turn)
    arrivals.heard(0, 2, 10.1)
    fresh = arrivals.freshness([turn], [[2, 3]])
    assert (fresh.arrived, fresh.p99) == (0.5, NEVER)


def test_a_change_nobody_made_has_no_number() -> None:
    """What is heard of an earlier life is left out."""
    arrivals = Arrivals(PEOPLE)
    arrivals.begin(Turn(0, 1, True, 10.0))
    assert arrivals.number(1, False) is None
    assert arrivals.freshness([], []).owed == 0
