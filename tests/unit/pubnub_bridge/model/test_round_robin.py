"""Whoever shares a bounded room gets a turn."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.model.round_robin import RoundRobin


def test_who_comes_after_the_one_served_last_begins() -> None:
    """Round and round; whom it was may be gone."""
    turns = RoundRobin()
    assert turns.order([3, 1, 2]) == [1, 2, 3]
    turns.served(2)
    assert turns.order([3, 1, 2]) == [3, 1, 2]
    turns.served(3)
    assert turns.order([3, 1, 2]) == [1, 2, 3]
    assert turns.order([4, 1]) == [4, 1]
    assert turns.order([]) == []


@given(st.sets(st.integers(0, 50), min_size=1), st.integers(1, 7), st.integers(1, 20))
def test_with_more_to_do_than_room_all_are_served_equally_often(
    numbers: set[int], at_once: int, rounds: int
) -> None:
    """None is a turn ahead of another."""
    turns, served = RoundRobin(), Counter(dict.fromkeys(numbers, 0))
    for _ in range(rounds):
        for number in turns.order(numbers)[:at_once]:
            turns.served(number)
            served[number] += 1
    assert max(served.values()) - min(served.values()) <= 1
