"""Churn traces: steady, along a day, and replayed from a file."""

from __future__ import annotations

import math
import random
from collections import deque
from pathlib import Path

import pytest

from bench.harness.traces import (
    BUSIEST_HOUR,
    DAY_SECONDS,
    Transition,
    Visits,
    churn,
    curve,
    day,
    header,
    read,
    write,
)

USERS = [f"u{number:03d}" for number in range(400)]


def online_at_the_end(transitions: list[Transition]) -> int:
    """Checks the order of time, and that only offline users join and online ones leave; returns users online at the end."""
    online: set[str] = set()
    assert transitions == sorted(transitions, key=lambda transition: transition.at)
    for transition in transitions:
        assert transition.joins is (transition.user not in online)
        (online.add if transition.joins else online.remove)(transition.user)
    return len(online)


def test_churn_has_the_wanted_rate_and_a_constant_share_online() -> None:
    """As many join as leave, at random times, and the queues are updated."""
    online, offline = deque(USERS[:120]), deque(USERS[120:])
    transitions = list(churn(50.0, 60.0, online, offline, random.Random(1)))
    assert 2700 < len(transitions) < 3300
    assert abs(sum(transition.joins for transition in transitions) - len(transitions) / 2) <= 1
    assert (len(online), len(offline)) in {(120, 280), (121, 279)}
    assert all(transition.at < 60 for transition in transitions)


def test_the_user_with_the_oldest_transition_comes_next() -> None:
    """So at a rate that the population sustains, no user returns within the debounce time."""
    online, offline, last = deque(USERS[:120]), deque(USERS[120:]), {}
    for transition in churn(10.0, 100.0, online, offline, random.Random(2)):
        assert transition.at - last.get(transition.user, -math.inf) > 5.0
        last[transition.user] = transition.at


def test_the_same_seed_makes_the_same_churn() -> None:
    """So a measurement can be repeated."""

    def transitions() -> list[Transition]:
        return list(churn(20.0, 5.0, deque(USERS[:9]), deque(USERS[9:]), random.Random(3)))

    assert transitions() == transitions()


def test_a_day_is_busiest_in_the_evening_and_one_on_average() -> None:
    """The curve of the beginnings of visits."""
    hours = [curve(hour * 3600) for hour in range(24)]
    assert sum(hours) / 24 == pytest.approx(1.0)
    assert max(range(24), key=hours.__getitem__) in {math.floor(BUSIEST_HOUR), math.ceil(BUSIEST_HOUR)}
    assert curve(0.0) == pytest.approx(curve(DAY_SECONDS))


def test_the_visits_of_a_day_are_consistent_and_keep_the_share() -> None:
    """After three hours of an evening about `share` times the curve are online."""
    transitions = list(day(USERS, 0.3, 3 * 3600, 18 * 3600, random.Random(4)))
    usual = 0.3 * len(USERS) * curve(21 * 3600)
    assert 0.75 * usual < online_at_the_end(transitions) < 1.25 * usual


def test_visits_have_the_requested_median() -> None:
    """Log-normal: half are shorter, and the mean is longer."""
    visits, chance = Visits(), random.Random(5)
    lengths = sorted(visits.length(chance) for _ in range(20_001))
    assert lengths[10_000] == pytest.approx(visits.median, rel=0.05)
    assert sum(lengths) / len(lengths) == pytest.approx(visits.mean, rel=0.05)


def test_a_recorded_trace_is_replayed_exactly(tmp_path: Path) -> None:
    """To the millisecond, with its parameters."""
    transitions = [Transition(0.0, "ann", True), Transition(1.25, "ben", True), Transition(2.5, "ann", False)]
    assert write(tmp_path / "trace.csv", {"seed": 7}, transitions) == 3
    assert list(read(tmp_path / "trace.csv")) == transitions
    assert header(tmp_path / "trace.csv") == {"seed": 7}


def test_a_file_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("1.0,x,ann\n")
    with pytest.raises(ValueError, match="not a transition"):
        list(read(tmp_path / "bad.csv"))
