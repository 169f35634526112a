"""Traces of churn: steady, along a day, and the same again from a file."""

from __future__ import annotations

import math
import random
from collections import deque
from pathlib import Path

import pytest

from bench.harness.traces import BUSIEST_HOUR, DAY, Turn, Visits, churn, curve, day, made, read, write

PEOPLE = [f"u{number:03d}" for number in range(400)]


def holds_together(turns: list[Turn]) -> int:
    """Nobody comes who is there or goes who is not, in order of time; returns how many are there at the end."""
    there: set[str] = set()
    assert turns == sorted(turns, key=lambda turn: turn.at)
    for turn in turns:
        assert turn.comes is (turn.user not in there)
        (there.add if turn.comes else there.remove)(turn.user)
    return len(there)


def test_churn_keeps_its_rate_and_the_share_online() -> None:
    """As many come as go, at random moments of the wanted rate, and the queues are moved along."""
    there, away = deque(PEOPLE[:120]), deque(PEOPLE[120:])
    turns = list(churn(50.0, 60.0, there, away, random.Random(1)))
    assert 2700 < len(turns) < 3300
    assert abs(sum(turn.comes for turn in turns) - len(turns) / 2) <= 1
    assert (len(there), len(away)) in {(120, 280), (121, 279)}
    assert all(turn.at < 60 for turn in turns)


def test_whoever_turned_last_turns_last_again() -> None:
    """So at a rate that the population bears, nobody is back within a hold."""
    there, away, last = deque(PEOPLE[:120]), deque(PEOPLE[120:]), {}
    for turn in churn(10.0, 100.0, there, away, random.Random(2)):
        assert turn.at - last.get(turn.user, -math.inf) > 5.0
        last[turn.user] = turn.at


def test_the_same_seed_makes_the_same_churn() -> None:
    """A figure can be had again."""

    def turns() -> list[Turn]:
        return list(churn(20.0, 5.0, deque(PEOPLE[:9]), deque(PEOPLE[9:]), random.Random(3)))

    assert turns() == turns()


def test_a_day_is_busiest_in_the_evening_and_one_on_average() -> None:
    """The curve that visits begin along."""
    hours = [curve(hour * 3600) for hour in range(24)]
    assert sum(hours) / 24 == pytest.approx(1.0)
    assert max(range(24), key=hours.__getitem__) in {math.floor(BUSIEST_HOUR), math.ceil(BUSIEST_HOUR)}
    assert curve(0.0) == pytest.approx(curve(DAY))


def test_a_day_s_visits_hold_together_and_keep_the_share() -> None:
    """Three hours of an evening: about `share` times the curve are there at its end."""
    turns = list(day(PEOPLE, 0.3, 3 * 3600, 18 * 3600, random.Random(4)))
    usual = 0.3 * len(PEOPLE) * curve(21 * 3600)
    assert 0.75 * usual < holds_together(turns) < 1.25 * usual


def test_visits_have_the_median_they_are_given() -> None:
    """Log-normal: half are shorter, and the mean is longer."""
    visits, chance = Visits(), random.Random(5)
    lengths = sorted(visits.length(chance) for _ in range(20_001))
    assert lengths[10_000] == pytest.approx(visits.median, rel=0.05)
    assert sum(lengths) / len(lengths) == pytest.approx(visits.mean, rel=0.05)


def test_a_recorded_trace_is_replayed_to_the_turn(tmp_path: Path) -> None:
    """To the millisecond, with how it was made."""
    turns = [Turn(0.0, "ann", True), Turn(1.25, "ben", True), Turn(2.5, "ann", False)]
    assert write(tmp_path / "trace.csv", {"seed": 7}, turns) == 3
    assert list(read(tmp_path / "trace.csv")) == turns
    assert made(tmp_path / "trace.csv") == {"seed": 7}


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    """Rather than played as something else."""
    (tmp_path / "bad.csv").write_text("1.0,x,ann\n")
    with pytest.raises(ValueError, match="not a turn"):
        list(read(tmp_path / "bad.csv"))
