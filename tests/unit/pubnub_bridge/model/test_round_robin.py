"""Round robin: every number that shares a bounded resource is served."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.model.round_robin import RoundRobin


def test_the_number_after_the_one_served_last_begins() -> None:
    """Even if the one served last is no longer there."""
    round_robin = RoundRobin()
    assert round_robin.order([3, 1, 2]) == [1, 2, 3]
    round_robin.served(2)
    assert round_robin.order([3, 1, 2]) == [3, 1, 2]
    round_robin.served(3)
    assert round_robin.order([3, 1, 2]) == [1, 2, 3]
    assert round_robin.order([4, 1]) == [4, 1]
    assert round_robin.order([]) == []


@given(st.sets(st.integers(0, 50), min_size=1), st.integers(1, 7), st.integers(1, 20))
def test_under_overload_all_numbers_are_served_equally_often(
    numbers: set[int], limit: int, rounds: int
) -> None:
    """Their counts differ by one at most."""
    round_robin, served = RoundRobin(), Counter(dict.fromkeys(numbers, 0))
    for _ in range(rounds):
        for number in round_robin.order(numbers)[:limit]:
            round_robin.served(number)
            served[number] += 1
    assert max(served.values()) - min(served.values()) <= 1
