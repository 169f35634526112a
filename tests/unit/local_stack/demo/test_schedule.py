"""The demo's schedule is consistent for every seed and however late it is polled."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.demo.schedule import Act, Habits, Schedule, Step

HOUR = 3600.0
AFTER = {
    None: {Act.COME},
    Act.COME: {Act.DROP, Act.GO, Act.VANISH},
    Act.DROP: {Act.BACK},
    Act.BACK: {Act.DROP, Act.GO, Act.VANISH},
    Act.GO: {Act.COME},
    Act.VANISH: {Act.COME},
}
HABITS = st.builds(
    Habits,
    share=st.floats(0.05, 0.9),
    median=st.floats(5, 2000),
    spread=st.floats(0.1, 1.5),
    flap_every=st.floats(5, 5000),
    debounce=st.floats(0.2, 30),
    silent=st.floats(0, 1),
    arrival_rate=st.floats(1, 500),
)


def people(count: int) -> list[str]:
    return [f"u{number}" for number in range(count)]


def lived(schedule: Schedule, until: float) -> Iterator[Step]:
    """All steps until a moment, polled as they become due."""
    schedule.start(0.0)
    while (now := schedule.next_at) <= until:
        yield from schedule.due(now)


@given(
    habits=HABITS,
    count=st.integers(0, 40),
    seed=st.integers(),
    late=st.lists(st.floats(0.001, 900), max_size=40),
)
@settings(max_examples=120, deadline=None)
def test_a_schedule_is_consistent_however_late_it_is_polled(
    habits: Habits, count: int, seed: int, late: list[float]
) -> None:
    """Only present users leave, only absent ones arrive, nothing is early, no user acts twice at once, the limit holds."""
    schedule = Schedule(users=people(count), habits=habits, rng=random.Random(seed))
    schedule.start(0.0)
    last: dict[str, Act] = {}
    now = 0.0
    for wait in [0.0, *late]:
        now += wait
        steps = schedule.due(now)
        assert len({step.user for step in steps}) == len(steps)
        for step in steps:
            assert step.at <= now
            assert step.act in AFTER[last.get(step.user)]
            last[step.user] = step.act
        inside = {user for user, act in last.items() if act in {Act.COME, Act.DROP, Act.BACK}}
        assert inside == set(schedule.present)
        assert len(inside) <= schedule.max_present
        assert schedule.next_at > now


@given(habits=HABITS, seed=st.integers())
@settings(max_examples=60, deadline=None)
def test_a_flap_ends_within_the_debounce_time_and_an_absence_outlasts_it(habits: Habits, seed: int) -> None:
    """So friends are never notified of the one and always of the other."""
    gone: dict[str, Step] = {}
    for number, step in enumerate(
        lived(Schedule(users=people(12), habits=habits, rng=random.Random(seed)), 4 * HOUR)
    ):
        if step.act in {Act.COME, Act.BACK} and (before := gone.pop(step.user, None)):
            away = step.at - before.at
            assert away < habits.debounce if before.act is Act.DROP else away > habits.debounce
        if step.act in {Act.DROP, Act.GO, Act.VANISH}:
            gone[step.user] = step
        if number > 2000:
            break


@given(habits=HABITS, seed=st.integers())
@settings(max_examples=20, deadline=None)
def test_the_same_seed_makes_the_same_schedule(habits: Habits, seed: int) -> None:
    one, other = (
        list(lived(Schedule(users=people(10), habits=habits, rng=random.Random(seed)), 600.0))
        for _ in range(2)
    )
    assert one == other


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_share_of_present_users_is_constant_from_the_start(seed: int) -> None:
    """30 % of 1,000, sampled every ten minutes for twelve hours; its standard deviation is 1.4 %."""
    schedule = Schedule(users=people(1000), habits=Habits(), rng=random.Random(seed))
    schedule.start(0.0)
    shares = []
    for now in range(60, int(12 * HOUR)):
        if schedule.next_at <= now:
            schedule.due(now)
        if now % 600 == 60:
            shares.append(len(list(schedule.present)) / 1000)
    assert shares[0] == pytest.approx(0.3, abs=0.03)
    assert statistics.mean(shares) == pytest.approx(0.3, abs=0.03)
    assert max(shares) < 0.375


def test_visits_are_log_normal_and_some_end_without_a_leave() -> None:
    """Half of those that begin after the start last under 20 minutes; one in six under a third of that."""
    began: dict[str, float] = {}
    lengths: list[float] = []
    ends: dict[Act, int] = defaultdict(int)
    for step in lived(Schedule(users=people(300), habits=Habits(share=0.5), rng=random.Random(5)), 40 * HOUR):
        if step.act is Act.COME and step.at > 60:
            began[step.user] = step.at
        elif step.act in {Act.GO, Act.VANISH} and step.user in began:
            lengths.append(step.at - began.pop(step.user))
            ends[step.act] += 1
    assert statistics.median(lengths) == pytest.approx(1200, rel=0.1)
    assert sum(length < 1200 / 2.718 for length in lengths) / len(lengths) == pytest.approx(0.16, abs=0.03)
    assert ends[Act.VANISH] / len(lengths) == pytest.approx(0.05, abs=0.02)


def test_the_initial_users_arrive_at_the_arrival_rate() -> None:
    """900 at 60 a second are present within 15 seconds, and not at once."""
    schedule = Schedule(users=people(3000), habits=Habits(), rng=random.Random(1))
    schedule.start(0.0)
    assert len(schedule.due(1.0)) in range(55, 70)
    now = 1.0
    while now < 16:
        now += 0.5
        schedule.due(now)
    assert len(list(schedule.present)) in range(880, 920)
