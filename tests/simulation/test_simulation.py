"""The walk with every fault: all is well with all rules kept, and each rule that is taken out is missed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.rules import Rules
from tests.simulation.tapes import ACTIONS, Tape, shrunk, stormy, tape
from tests.simulation.world import World, simulate

TAPES = 400
"""Random tapes of one run; tens of thousands were played while this was written."""


@pytest.mark.parametrize("start", range(0, TAPES, 100))
def test_at_the_end_every_view_equals_the_graph_and_the_graph_equals_pubnub(start: int) -> None:
    """Joins, leaves, flaps, friend changes, blocks, hiding, crashes at every row, two owners, repeats, losses."""
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


def test_who_drops_and_returns_with_everybody_is_never_told_gone() -> None:
    """For longer than the hold, and within that of storms: no friend hears of it. Without storm mode one does."""
    told = _told_gone(
        [("storm mode", 0), *THERE, *DROP, ("a hold", 0), *WORK, ("everybody comes", 0), *SETTLED]
    )
    assert told == set()
    assert _told_gone([*THERE, *DROP, ("a hold", 0), *WORK, ("everybody comes", 0), *SETTLED])


def test_who_leaves_for_good_in_a_storm_is_told_once() -> None:
    """Ann does not come back with the others; at the end nobody else was told gone."""
    back = [("toggle", 1), ("toggle", 2)]
    steps = [("storm mode", 0), *THERE, *DROP, ("a hold", 0), *WORK, *back, *SETTLED, *SETTLED, *SETTLED]
    assert _told_gone(steps) == {"ann"}
    assert simulate(steps) == []


def _told_gone(steps: Tape) -> set[str]:
    """Of whom some friend was told that they are offline."""
    world = World(Rules())
    for action, number in steps:
        world.step(action, number)
    return {m["payload"]["userId"] for _, m in opened(world.heard) if m["type"] == "friend.offline"}


def opened(heard: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """All events, batches opened."""
    found = []
    for inbox, message in heard:
        batch = message["type"] == "friend.batch"
        found += [(inbox, one) for one in (message["payload"]["events"] if batch else [message])]
    return found


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 59)), max_size=50))
def test_no_short_tape_breaks_the_walk(steps: Tape) -> None:
    """The same with a searcher that shrinks by itself."""
    assert simulate(steps) == []


WORK = [("work", 0)]
SETTLED = [*WORK * 3, ("a hold", 0), *WORK * 4]
THERE = [("everybody comes", 0), *SETTLED, *WORK * 3]
DROP = [("everybody goes", 0), *WORK]
DELIVERED = [("deliver", user) for user in (0, 1, 2)] * 6
EXAMPLES: dict[str, Tape] = {
    "state_from_the_read": [
        ("toggle", 1), *SETTLED, ("second owner", 0),
        ("toggle", 0), ("poll", 0), ("read seen", 0), *[("read seen", 1)] * 3, ("a hold", 0), *[("settle", 0)] * 2,
        ("toggle", 0), ("poll", 0), *[("read seen", 1)] * 4, *[("settle", 1)] * 10, *[("settle", 0)] * 10,
    ],
    "outbox_deleted_by_id": [
        ("toggle", 0), ("toggle", 1), *SETTLED, *DELIVERED,
        ("befriend", 0), ("relay", 0), ("befriend", 0), ("relay", 0), ("relay", 0),
    ],
    "client_higher_at": [
        ("toggle", 1), *SETTLED, *DELIVERED, ("second owner", 0),
        ("toggle", 0), ("poll", 0), ("read seen", 0), *[("read seen", 1)] * 3, ("a hold", 0), *[("settle", 0)] * 2,
        ("toggle", 0), ("poll", 0), *[("read seen", 1)] * 4, ("coarse clock", 0),
        *[("settle", 0)] * 6, *[("settle", 1)] * 8, *[("read inbox", 1), *[("send", 1)] * 8] * 6,
        *[("deliver late", 1 + 3 * late) for late in (5, 4, 3, 2, 1)],
    ],
    "client_notice_beats_sync": [
        ("toggle", 1), *SETTLED, *DELIVERED, ("toggle", 0), ("poll", 0), ("read seen", 0), ("a hold", 0),
        ("toggle", 1), ("toggle", 1), ("coarse clock", 0), *[("read inbox", 0), *[("send", 0)] * 8] * 3,
        *[("settle", 0)] * 7, *[("read inbox", 0), *[("send", 0)] * 8] * 3,
        *[("deliver late", 1 + 3 * late) for late in (5, 4, 3, 2, 1)],
    ],
    "relation_to_the_offline": [("toggle", 0), *WORK * 3, ("befriend", 0), *[("relay", 0)] * 8, *WORK * 2],
    "storm_only_waits": [("storm mode", 0), *THERE, *DROP],
    "storm_moves_deadlines": [("storm mode", 0), *THERE, *DROP],
    "storm_hold_is_capped": [("storm mode", 0), *THERE, *DROP],
    "storm_ends": [("storm mode", 0), *THERE, *DROP],
    "admitted_later_not_dropped": [
        ("syncs admitted", 0), ("everybody comes", 0), ("a hold", 0), *WORK * 2, ("toggle", 1), ("everybody comes", 0), *WORK,
    ],
    "visible_by_the_commit": [
        *THERE, *DELIVERED, ("toggle", 1), ("poll", 0), *[("read seen", 0)] * 2, ("a hold", 0), *[("settle", 0)] * 2, ("hide", 1),
    ],
    "hiding_is_told_whatever_since": [
        *THERE, *DELIVERED, ("hide", 1), ("toggle", 1), ("poll", 0), *[("read seen", 0)] * 2, ("a hold", 0), *[("settle", 0)] * 10,
    ],
    "client_tombstones": [
        ("toggle", 0), *SETTLED, *DELIVERED, ("toggle", 1), *SETTLED, *[("deliver", 1)] * 9,
        ("befriend", 0), *[("relay", 0)] * 3, *WORK * 2, *[("deliver late", 3 * late) for late in (5, 4, 3, 2, 1)],
    ],
}  # fmt: skip
"""Tapes written by hand, for faults that need two processes to take turns in one particular way."""

FOUND: dict[str, int] = {
    "cursor_with_entry": 6,
    "reads_from_the_writer": 11,
    "invisible_is_silent": 11,
    "client_newest_wins": 12,
    "read_after_commit": 13,
    "future_is_pulled_back": 24,
    "client_whole_syncs": 28,
    "settle_syncs": 45,
    "equal_is_told": 60,
    "older_is_nothing_new": 81,
    "clock_never_back": 118,
    "never_nothing": 118,
    "flap_is_written": 133,
    "reconcile_is_backdated": 136,
    "absence_is_confirmed": 151,
    "taken_counts_as_settled": 172,
    "relation_from_the_read": 183,
    "doubt_is_looked_up": 190,
    "ended_friendship_silences": 236,
    "clock_from_the_read": 236,
    "graph_refuses_older": 309,
    "flipped_flap_is_told": 335,
    "delete_after_publish": 352,
    "client_asks": 1024,
    "replay_is_told": 1260,
    "put_back_what_failed": 1474,
    "delete_after_append": 1691,
    "client_floor": 27902,
    "newest_in_a_letter": 29981,
    "newer_sync_replaces": 35096,
}
"""Seeds of tapes that miss a rule: the search begins there."""

BACKED_BY: dict[str, str] = {"taken_counts_as_settled": "flipped_flap_is_told"}
"""Rules that another one makes up for: the fault shows where both are out, and not where only the other is."""


@pytest.mark.parametrize("rule", Rules.names())
def test_a_rule_that_is_taken_out_is_missed(rule: str) -> None:
    """The same tape is harmless with the rule and harmful without it."""
    other = BACKED_BY.get(rule)
    kept = Rules(**({other: False} if other else {}))
    taken = Rules(**({rule: False} | ({other: False} if other else {})))
    example = EXAMPLES.get(rule) or _first(FOUND[rule], taken)
    assert example is not None, f"no tape misses the rule {rule}"
    assert simulate(example, taken)
    assert simulate(example, kept) == []


def _first(seed: int, rules: Rules, most: int = 400) -> Tape | None:
    return next((tape(one) for one in range(seed, seed + most) if simulate(tape(one), rules)), None)
