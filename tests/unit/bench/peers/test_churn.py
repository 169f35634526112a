"""The comparison with peers: its trace, and the recipients of each change."""

from __future__ import annotations

import hashlib

import pytest

from bench.peers.arrivals import NEVER, Arrivals, recipients
from bench.peers.churn import Churn, Transition
from bench.peers.friends import HIGH, LOW, Friends, make

USERS, ONLINE = 40, list(range(0, 40, 2))
RECIPE = "2e5963bb912746b2d5f28eaf474bbae6dc0e67855c2b94570ac2d7c47287d63c"
"""SHA-256 of all friendships of 3,000 users, seed 1: quoted figures were measured with them."""


@pytest.fixture(scope="module")
def friends() -> Friends:
    """Made once, since it takes seconds."""
    return make(3000)


def test_the_friends_are_those_of_the_quoted_figures(friends: Friends) -> None:
    text = repr([sorted(one) for one in friends.of])
    assert hashlib.sha256(text.encode()).hexdigest() == RECIPE
    assert len(friends.online) == 900
    assert round(friends.mean_online) == 225


def test_friendship_is_mutual_and_within_bounds(friends: Friends) -> None:
    """The graph's import contains each friendship once."""
    assert all(one in friends.of[other] for one in range(50) for other in friends.of[one])
    assert all(LOW <= len(one) <= HIGH for one in friends.of)
    assert len(friends.population().pairs) == sum(map(len, friends.of)) // 2


def test_both_systems_get_the_same_transitions() -> None:
    """Independent of the time at which they begin."""
    one, other = (Churn(users=USERS, online=ONLINE, seed=3) for _ in range(2))
    first = [(t.user, t.joins, t.at) for rate in (5, 9) for t in one.at_rate(rate, 10, 0.0)]
    second = [(t.user, t.joins, t.at - 1024) for rate in (5, 9) for t in other.at_rate(rate, 10, 1024.0)]
    assert [transition[:2] for transition in first] == [transition[:2] for transition in second]
    assert [transition[2] for transition in first] == pytest.approx([transition[2] for transition in second])


def test_a_user_who_left_is_not_online_afterwards_and_was_before() -> None:
    churn = Churn(users=USERS, online=ONLINE, seed=3)
    gone = next(transition for transition in churn.at_rate(5, 10, 100.0) if not transition.joins)
    assert churn.was_online(gone.user, 90.0, gone.at)
    assert not churn.was_online(gone.user, gone.at - 1, gone.at + 0.1)


def test_only_friends_who_are_online_and_stay_are_recipients() -> None:
    """One who just joined reads the change in the sync, and one who leaves cannot receive it."""
    churn = Churn(users=USERS, online=ONLINE, seed=3)
    transitions = churn.at_rate(4, 10, 100.0)
    transition = transitions[len(transitions) // 2]
    all_users = [set(range(USERS))] * USERS
    found = recipients(churn, all_users, transition, timeout_seconds=2.0)
    assert found
    assert all(churn.was_online(one, transition.at - 1, transition.at + 2) for one in found)
    moved = {t.user for t in transitions if transition.at - 1 < t.at < transition.at + 2}
    assert moved
    assert not moved & set(found)


def test_a_repeat_is_one_delivery_and_the_first_counts() -> None:
    """A repeat does not make a change later."""
    arrivals, transition = Arrivals(USERS), Transition(0, 1, True, 10.0)
    arrivals.begin(transition)
    number = arrivals.number(1, True)
    assert number == 0
    arrivals.delivered(number, 2, 10.1)
    arrivals.delivered(number, 2, 10.9)
    arrivals.delivered(number, 3, 10.2)
    fresh = arrivals.freshness([transition], [[2, 3]])
    assert arrivals.deliveries(10.0, 11.0) == 2
    assert (fresh.recipients, fresh.arrived) == (2, 1.0)
    assert fresh.p99 == pytest.approx(200.0)


def test_a_change_that_never_arrives_is_infinitely_late() -> None:
    """A lost change must not make a percentile better."""
    arrivals, transition = Arrivals(USERS), Transition(0, 1, True, 10.0)
    arrivals.begin(transition)
    arrivals.delivered(0, 2, 10.1)
    fresh = arrivals.freshness([transition], [[2, 3]])
    assert (fresh.arrived, fresh.p99) == (0.5, NEVER)


def test_a_change_that_is_not_in_the_trace_has_no_number() -> None:
    """Messages from before the run are ignored."""
    arrivals = Arrivals(USERS)
    arrivals.begin(Transition(0, 1, True, 10.0))
    assert arrivals.number(1, False) is None
    assert arrivals.freshness([], []).recipients == 0
