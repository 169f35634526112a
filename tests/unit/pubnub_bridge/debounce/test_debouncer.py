"""The debouncer, moved by hand: when a state settles, what a flap is, which entries are still needed."""

from __future__ import annotations

import pytest

from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.model.presence_event import PresenceEvent


def debouncer(**online: int) -> Debouncer:
    """Debounces for 5, 3 and 1 s, with these users settled online."""
    made = Debouncer(times=DebounceTimes(online=5000, leave=3000, timeout=1000))
    made.load(online)
    return made


def event(user: str, online: bool, at: int, reason: str = "") -> PresenceEvent:
    """One event."""
    return PresenceEvent(user, online, at, 0, reason or ("join" if online else "leave"))


def test_a_new_state_settles_after_its_debounce_time() -> None:
    """Not a millisecond earlier."""
    one = debouncer()
    assert one.add([event("ann", True, 1000)], "1").joined == ["ann"]
    assert one.next_due() == 6000
    assert one.take(5999, 10) == []
    (change,) = one.take(6000, 10)
    assert (change.user, change.online, change.at, change.notify) == ("ann", True, 1000, True)
    one.resolved(change)
    assert one.finished() == ["1"]
    assert one.finished() == []


def test_a_repeat_does_not_move_the_deadline_but_is_the_time_that_settles() -> None:
    """And its entry waits as well."""
    one = debouncer()
    one.add([event("ann", True, 1000)], "1")
    one.add([event("ann", True, 4000)], "2")
    (change,) = one.take(6000, 10)
    assert (change.at, change.entries) == (4000, ["1", "2"])


def test_leaves_and_timeouts_have_debounce_times_that_differ() -> None:
    """After a timeout PubNub has waited already."""
    one = debouncer(ann=1, bob=1)
    one.add([event("ann", False, 1000), event("bob", False, 1000, "timeout")], "1")
    assert [change.user for change in one.take(2000, 10)] == ["bob"]
    assert [change.user for change in one.take(4000, 10)] == ["ann"]


def test_a_flap_is_committed_at_once_and_not_notified() -> None:
    """Its entries are needed until then; the user gets a sync for the return."""
    one = debouncer(ann=1)
    one.add([event("ann", False, 1000)], "1")
    result = one.add([event("ann", True, 2000)], "2")
    assert (result.flaps, result.joined) == (1, ["ann"])
    (change,) = one.take(2000, 10)
    assert (change.online, change.at, change.notify, change.entries) == (True, 2000, False, ["1", "2"])
    assert one.take(99_000, 10) == []
    one.resolved(change)
    assert one.finished() == ["1", "2"]


def test_an_older_event_than_known_is_nothing_new() -> None:
    """Its entry goes with the newer one's."""
    one = debouncer(ann=1000)
    assert one.add([event("ann", False, 500)], "1").conflicts == []
    assert one.finished() == ["1"]
    one.add([event("ann", False, 2000)], "2")
    one.add([event("ann", True, 1500)], "3")
    (change,) = one.take(5000, 10)
    assert (change.online, change.entries) == (False, ["2", "3"])


def test_what_was_observed_is_known_until_it_is_committed() -> None:
    """A reconcile in between has nothing to repair."""
    one = debouncer(ann=1)
    assert one.observed("ann") is None
    one.add([event("ann", False, 1000), event("bob", True, 1000)], "1")
    assert (one.observed("ann"), one.observed("bob")) == (False, True)
    for change in one.take(6000, 10):
        assert one.observed(change.user) is change.online
        one.resolved(change)
    assert (one.observed("ann"), one.observed("bob")) == (None, None)


def test_join_join_leave_settles_as_the_newest() -> None:
    """A recorded order of a quick re-join."""
    one = debouncer()
    one.add([event("ann", True, 1000), event("ann", True, 1800), event("ann", False, 1500)], "1")
    (change,) = one.take(6000, 10)
    assert (change.online, change.at) == (True, 1800)


def test_the_same_time_with_another_state_is_a_conflict() -> None:
    """Its entry is needed until the look-up stands in the stream."""
    one = debouncer(ann=1000)
    (conflict,) = one.add([event("ann", False, 1000)], "1").conflicts
    assert conflict.user == "ann"
    assert one.finished() == []
    one.looked_up("1")
    assert one.finished() == ["1"]


def test_a_repeat_of_the_settled_state_needs_no_write_where_the_time_is_known() -> None:
    """For those who left lately as well."""
    one = debouncer(ann=1000)
    one.add([event("ann", True, 1000)], "1")
    assert one.finished() == ["1"]
    one.add([event("ann", False, 2000)], "2")
    (change,) = one.take(5000, 10)
    one.resolved(change)
    one.add([event("ann", False, 2000)], "3")
    assert one.finished() == ["2", "3"]


def test_what_is_redelivered_at_a_take_over_is_committed_and_announced() -> None:
    """Even when equal to the flag: the last owner may have died before the notification."""
    one = debouncer(ann=1000)
    one.add([event("ann", True, 1000)], "1", redelivered=True)
    (change,) = one.take(1000, 10)
    assert change.redelivered


def test_a_taken_change_counts_as_settled() -> None:
    """A leave that comes while the join is being written waits for its own debounce time."""
    one = debouncer()
    one.add([event("ann", True, 1000)], "1")
    (join,) = one.take(6000, 10)
    one.add([event("ann", False, 6500)], "2")
    assert one.next_due() == 9500
    one.resolved(join)
    (leave,) = one.take(9500, 10)
    assert (leave.online, leave.notify) == (False, True)


def test_a_change_due_while_the_last_is_being_written_waits_for_it() -> None:
    """One write a user at a time."""
    one = debouncer()
    one.add([event("ann", True, 1000)], "1")
    (join,) = one.take(6000, 10)
    one.add([event("ann", False, 6500)], "2")
    assert one.take(20_000, 10) == []
    one.resolved(join)
    assert [change.online for change in one.take(20_000, 10)] == [False]


def test_a_graph_that_knew_better_is_believed() -> None:
    """Then the same event again is a change, not a repeat."""
    one = debouncer()
    one.add([event("ann", True, 1000)], "1")
    (join,) = one.take(6000, 10)
    one.resolved(join, (False, 5000))
    assert "ann" not in one.online
    one.add([event("ann", True, 7000)], "2")
    assert one.next_due() == 12_000


def test_a_confirmed_leave_becomes_a_silent_presence() -> None:
    """Another device is there."""
    one = debouncer(ann=1)
    one.add([event("ann", False, 1000)], "1")
    (leave,) = one.take(4000, 10)
    one.still_present(leave, 4100)
    assert (leave.online, leave.at, leave.notify) == (True, 4100, False)
    assert one.online["ann"] == 4100


def test_a_batch_is_as_large_as_it_may_be() -> None:
    """What is left is due still."""
    one = debouncer()
    one.add([event(str(number), True, 1000) for number in range(10)], "1")
    assert len(one.take(6000, 4)) == 4
    assert len(one.take(6000, 100)) == 6


def test_nothing_is_taken_before_the_beginning() -> None:
    """A new owner waits for its first poll."""
    one = debouncer()
    one.begin_at(8000)
    one.add([event("ann", True, 1000)], "1")
    assert one.next_due() == 8000
    assert one.take(7999, 10) == []
    assert len(one.take(8000, 10)) == 1


def test_an_entry_that_changes_nothing_is_finished_at_once() -> None:
    """An empty one, too."""
    one = debouncer()
    one.add([], "1")
    assert one.finished() == ["1"]


def test_a_user_who_flaps_again_keeps_the_place_in_the_queue() -> None:
    """However fast users flap, one after the other is written, and what stood in the stream of them can go."""
    one = debouncer(ann=1, bob=1, cid=1)
    for moment, user in enumerate(["ann", "bob", "cid", "ann"]):
        one.add([event(user, False, 1000 + 10 * moment)], f"{moment}-")
        one.add([event(user, True, 1005 + 10 * moment)], f"{moment}+")
    (change,) = one.take(2000, 1)
    assert (change.user, change.entries) == ("ann", ["0-", "0+", "3-", "3+"])
    one.resolved(change)
    assert one.finished() == ["0-", "0+", "3-", "3+"]


def test_what_has_been_due_for_longest_is_written_first() -> None:
    """Flaps without end make no user wait whose friends are to be notified."""
    one = debouncer(ann=1, bob=1)
    one.add([event("cid", True, 1000)], "1")
    one.add([event("ann", False, 5990), event("ann", True, 5995)], "2")
    one.add([event("bob", False, 6010), event("bob", True, 6015)], "3")
    assert [change.user for change in one.take(7000, 2)] == ["ann", "cid"]
    assert [change.user for change in one.take(7000, 2)] == ["bob"]


def test_resolving_a_change_twice_is_an_error() -> None:
    """It would release log entries that another change still needs."""
    one = debouncer()
    one.add([event("ann", True, 1000), event("bob", True, 1000)], "1")
    ann, _bob = one.take(6000, 10)
    one.resolved(ann)
    with pytest.raises(KeyError):
        one.resolved(ann)
    assert one.finished() == []


def test_a_leave_that_was_not_one_is_newer_than_the_leave_whatever_the_look_up_says() -> None:
    """Else the graph would refuse it as older than the leave it has."""
    debouncer = Debouncer(times=DebounceTimes())
    debouncer.load({"ann": 1000})
    debouncer.add([PresenceEvent("ann", False, 50_000, 0, "leave")], "1")
    (change,) = debouncer.take(60_000, 10)
    debouncer.still_present(change, 40_000)
    assert (change.online, change.at) == (True, 50_001)


def test_a_user_that_flaps_again_is_not_overtaken_by_a_change_that_was_due_later() -> None:
    """The first flap gives the place in the queue."""
    debouncer = Debouncer(times=DebounceTimes())
    debouncer.load({"ann": 1000})
    debouncer.add([PresenceEvent("ann", True, 2000, 0, "join")], "1")
    debouncer.add([PresenceEvent("bob", True, 2500, 0, "join")], "2")
    debouncer.add([PresenceEvent("ann", True, 9000, 0, "join")], "3")
    assert [one.user for one in debouncer.take(10_000, 1)] == ["ann"]
