"""The real bridge with every fault: all is well at the end of every tape, whatever was killed, delayed, lost or repeated."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.tapes import ACTIONS, Tape, shrunk, stormy, tape
from tests.simulation.world import played, simulate

TAPES = 400
"""Random tapes of one run; tens of thousands were played while this was written."""


@pytest.mark.parametrize("start", range(0, TAPES, 100))
def test_at_the_end_every_view_equals_the_graph_and_the_graph_equals_pubnub(start: int) -> None:
    """Joins, leaves, flaps, friend changes, blocks, hiding, kills at every await, two owners, repeats, losses."""
    for seed in range(start, start + 100):
        if wrong := simulate(tape(seed)):
            steps = shrunk(tape(seed), lambda shorter: bool(simulate(shorter)))
            pytest.fail(f"seed {seed}: {wrong}\nshortest: {steps}")


def test_the_same_holds_in_storms() -> None:
    """Everybody goes and comes, leaves wait longer, syncs are admitted one by one, among all the other faults."""
    for seed in range(100):
        if wrong := simulate(stormy(seed)):
            steps = shrunk(stormy(seed), lambda shorter: bool(simulate(shorter)))
            pytest.fail(f"seed {seed}: {wrong}\nshortest: {steps}")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 59)), max_size=50))
def test_no_short_tape_breaks_the_bridge(steps: Tape) -> None:
    """The same with a searcher that shrinks."""
    assert simulate(steps) == []


THERE: Tape = [("everybody comes", 0), *[("a debounce", 0)] * 4]
DROP: Tape = [("toggle", 0), ("toggle", 2), *[("a debounce", 0)] * 3]
BACK: Tape = [("toggle", 2), ("toggle", 0)]


def test_who_drops_and_returns_with_the_others_is_never_announced_gone() -> None:
    """For longer than the debounce time, and within that of storms: no friend is notified. Without storm mode one does."""
    steps = [*THERE, *DROP, *BACK, *[("a debounce", 0)] * 4]
    assert announced_gone([("storm mode", 0), *steps]) == set()
    assert announced_gone(steps)


def test_who_leaves_for_good_in_a_storm_is_announced_once() -> None:
    """Ann does not come back with Cat; at the end no other user was announced as gone."""
    steps = [("storm mode", 0), *THERE, *DROP, *BACK[:1], *[("a debounce", 0)] * 8]
    assert announced_gone(steps) == {"ann"}
    assert simulate(steps) == []


def announced_gone(steps: Tape) -> set[str]:
    """Users of whom a friend was notified that they are offline."""
    published = played(steps, rest=False).judge.published
    return {event["payload"]["userId"] for _, event in published if event["type"] == "friend.offline"}


def test_a_tape_is_played_the_same_way_each_time() -> None:
    """Whatever is random comes from the tape."""
    worlds = [played(tape(seed)) for seed in (18, 18, 25, 25)]
    said = [(one.judge.published, one.judge.posted, one.gates.calls) for one in worlds]
    assert said[0] == said[1]
    assert said[2] == said[3]


def test_a_process_that_stops_publishes_what_it_has_begun_and_gives_its_leases_back() -> None:
    """Another one owns everything at once, and nothing is repeated."""
    world = played(
        [*THERE, ("delay commit", 0), ("toggle", 0), ("a debounce", 0), ("stop", 0), ("a while", 0)]
    )
    assert world.judge.wrong == []


def test_a_process_that_sleeps_longer_than_its_leases_leaves_its_partitions_to_another() -> None:
    """It goes on where it was, sees that its leases are gone and owns nothing that another one owns."""
    for partitions in ([], [("two partitions", 0)]):
        steps = [("start", 0), ("a lease", 0), ("freeze", 0), ("toggle", 0), ("a lease", 0), ("freeze", 0)]
        assert simulate([*partitions, *steps, ("a lease", 0), ("toggle", 1)]) == []
