"""Storms, moved by hand: when one begins, how far it goes, when it is over, and which leaves it makes wait."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from graph_service.model.sharding import ShardMap
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.debounce.storm_detector import (
    WHOLE_LEAVES,
    StateTransition,
    StormDetector,
    StormThresholds,
)
from pubnub_bridge.model.presence_event import PresenceEvent

SHARDS = ShardMap(partitions=4, shards=8)
ONLINE = {0: 1000, 1: 1000, 2: 1000, 3: 1000}
THRESHOLDS = StormThresholds(
    min_share=0.1,
    min_users=20,
    span_milliseconds=10_000,
    debounce_milliseconds=30_000,
    batch_window_seconds=3.0,
)


def detector(**more: object) -> StormDetector:
    """Four partitions of two shards, 1,000 online on each partition."""
    return StormDetector(
        thresholds=StormThresholds(**({"min_share": 0.1, "min_users": 20} | more)), shards=SHARDS
    )  # type: ignore[arg-type]


def leaves(number: int, shard: int, at: int) -> list[StateTransition]:
    """As many leaves at one moment."""
    return [StateTransition(shard, True, at)] * number


def extents(made: StormDetector) -> list[tuple[str, int]]:
    """How far the storms that are on go."""
    return [(extent, number) for _, extent, number in made.active]


def test_a_usual_evening_is_no_storm() -> None:
    """One in a hundred leaves and comes every ten seconds."""
    made = detector()
    for second in range(60):
        made.observe(
            [StateTransition(shard, left, second * 1000) for shard in range(8) for left in (True, False)]
        )
        assert not made.update(second * 1000, ONLINE, {})
    assert made.batch_window_seconds == 0.0


def test_fast_coming_and_going_is_no_storm() -> None:
    """Every fourth person a second is exchanged for another one."""
    made = detector()
    for second in range(30):
        made.observe(
            [StateTransition(shard, left, second * 1000) for shard in range(8) for left in (True, False)]
            * 120
        )
        assert not made.update(second * 1000, ONLINE, {})


def test_a_user_who_is_back_before_friends_were_notified_has_not_moved() -> None:
    """A flap does not count, neither as a leave nor, later, as a join."""
    debouncer, made = Debouncer(times=DebounceTimes(5000, 5000, 5000)), detector()
    debouncer.load({str(number): 1 for number in range(100)})
    for start, online in ((1000, False), (4000, True)):
        for user in range(100):
            made.observe(
                debouncer.add([PresenceEvent(str(user), online, start, 0, "")], f"{start}-{user}").transitions
            )
    for now in range(4000, 30_000, 500):
        assert not made.update(now, {0: 100}, debouncer.pending_leaves)


def test_a_tenth_of_one_shard_is_a_storm_of_that_shard_alone() -> None:
    """Leaves elsewhere are debounced as usual."""
    made = detector()
    made.observe(leaves(50, 5, 1000))
    (storm,) = made.update(1000, ONLINE, {5: 50}).began
    assert str(storm) == "a storm: 50 of 500 left within 10 s on shard 5"
    assert (made.extended_shards(1), made.extended_shards(0)) == (frozenset({5}), frozenset())
    assert (made.batch_window_seconds, made.degraded) == (3.0, None)


def test_two_shards_of_a_partition_are_a_storm_of_it() -> None:
    """And are reported as one storm, not as three."""
    made = detector()
    made.observe([*leaves(60, 1, 1000), *leaves(60, 5, 1000)])
    made.update(1000, ONLINE, {})
    assert extents(made) == [("partition", 1)]
    assert made.extended_shards(1) == frozenset({1, 5})


def test_a_tenth_of_all_users_is_one_storm_and_presence_is_degraded() -> None:
    """All shards are covered; clients learn that presence is not certain."""
    made = detector()
    made.observe([one for shard in range(8) for one in leaves(50, shard, 1000)])
    made.update(1000, ONLINE, {})
    assert extents(made) == [("whole", 0)]
    assert all(
        made.extended_shards(partition) == frozenset(SHARDS.shards_of(partition)) for partition in range(4)
    )
    assert made.degraded == "a storm: 400 of 4,000 left within 10 s"


def test_a_mass_join_widens_the_window_and_extends_no_leave() -> None:
    """Even at a start with no user online; presence is not degraded."""
    made = detector()
    made.observe([StateTransition(3, False, 1000)] * 20)
    made.update(1000, dict.fromkeys(range(4), 0), {})
    assert (made.batch_window_seconds, made.extended_shards(3), made.degraded) == (3.0, frozenset(), None)


def test_a_few_users_are_no_storm_whatever_their_share() -> None:
    """A team of nineteen goes home."""
    made = detector()
    made.observe(leaves(19, 0, 1000))
    assert not made.update(1000, {0: 19}, {})


def test_a_storm_lasts_while_half_of_its_threshold_is_pending() -> None:
    """The wave is over after its span; who has not come back keeps it on."""
    made = detector()
    made.observe([one for shard in range(8) for one in leaves(50, shard, 1000)])
    made.update(1000, ONLINE, {0: 400})
    made.update(20_000, ONLINE, {0: 200})
    assert WHOLE_LEAVES in made.active
    assert [str(one) for one in made.update(20_100, ONLINE, {0: 199}).ended] == [
        "a storm: 400 of 4,000 left within 10 s"
    ]
    assert not made.active


def test_a_storm_of_a_partition_that_is_not_owned_any_more_is_over() -> None:
    """Its new owner sees for itself."""
    made = detector()
    made.observe(leaves(100, 1, 1000))
    made.update(1000, ONLINE, {1: 100})
    assert made.update(1000, {0: 1000}, {}).ended
    assert not made.update(1000, {0: 1000}, {})


def test_storm_protection_can_be_disabled() -> None:
    """Then nothing is a storm."""
    made = detector(enabled=False)
    made.observe(leaves(4000, 0, 1000))
    assert not made.update(1000, ONLINE, {})
    assert made.batch_window_seconds == 0.0


waves = st.lists(
    st.tuples(st.integers(0, 7), st.booleans(), st.integers(0, 400), st.integers(0, 3000)), max_size=20
)


@given(waves)
def test_every_storm_reached_its_threshold_and_ends_once_all_is_quiet(
    steps: list[tuple[int, bool, int, int]],
) -> None:
    """Whatever comes: never below the threshold, never without end, and extended shards belong to active storms."""
    made, now = detector(), 0
    for shard, left, number, later in steps:
        now += later
        made.observe([StateTransition(shard, left, now)] * number)
        for storm in made.update(now, ONLINE, {}).began:
            assert storm.moved >= storm.threshold >= 20
        leaving = [where for where in made.active if where[0]]
        assert any(made.extended_shards(partition) for partition in range(4)) == bool(leaving)
    made.update(now + THRESHOLDS.span_milliseconds + 2000, ONLINE, {})
    assert not made.active


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans(), st.integers(1, 9000)), max_size=30
    )
)
def test_a_leave_is_debounced_at_least_as_usual_and_at_most_as_in_a_storm(
    steps: list[tuple[str, bool, bool, int]],
) -> None:
    """However storms come and go; and the pending leaves of each shard are counted right."""
    debouncer, now, left = Debouncer(times=DebounceTimes(5000, 5000, 5000)), 1000, dict[str, int]()
    debouncer.load(dict.fromkeys("abc", 0))
    for number, (user, online, storm, later) in enumerate(steps):
        debouncer.extend(frozenset({0}) if storm else frozenset(), 20_000)
        if online or user not in debouncer.online:
            left.pop(user, None)
        else:
            left.setdefault(user, now)
        debouncer.add([PresenceEvent(user, online, now, 0, "")], str(number))
        now += later
        for change in debouncer.take(now, 10):
            if not change.online and change.notify:
                assert now - left.pop(change.user) >= 5000
            debouncer.resolved(change)
        assert all(now - since < 20_000 for since in left.values())
        assert +debouncer.pending_leaves == (Counter({0: len(left)}) if left else Counter())


def test_a_pending_leave_is_debounced_longer_once_a_storm_begins() -> None:
    """And as usual once the storm is over; a time-out counts like a leave, a join is not touched."""
    debouncer = Debouncer(times=DebounceTimes(online=5000, leave=5000, timeout=1000))
    debouncer.load({"ann": 1, "bob": 1})
    debouncer.add(
        [PresenceEvent("ann", False, 1000, 7, "leave"), PresenceEvent("bob", False, 1000, 7, "timeout")], "1"
    )
    debouncer.add([PresenceEvent("cat", True, 1000, 7, "join")], "2")
    debouncer.extend(frozenset({7}), 30_000)
    assert [change.user for change in debouncer.take(30_999, 10)] == ["cat"]
    debouncer.extend(frozenset(), 30_000)
    assert debouncer.next_due() == 2000
    assert {change.user for change in debouncer.take(30_999, 10)} == {"ann", "bob"}
    assert debouncer.take(99_000, 10) == []


def test_a_user_who_is_back_within_the_extended_time_was_never_gone() -> None:
    """Friends get no message, not two."""
    debouncer = Debouncer(times=DebounceTimes(5000, 5000, 5000))
    debouncer.load({"ann": 1})
    debouncer.extend(frozenset({0}), 30_000)
    debouncer.add([PresenceEvent("ann", False, 1000, 0, "leave")], "1")
    assert debouncer.take(20_000, 10) == []
    assert debouncer.add([PresenceEvent("ann", True, 20_000, 0, "join")], "2").flaps == 1
    (change,) = debouncer.take(20_000, 10)
    assert (change.online, change.notify) == (True, False)
