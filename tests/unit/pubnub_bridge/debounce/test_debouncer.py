"""The hold, moved by hand: when a state settles, what a flap is, which entries are still needed."""

from __future__ import annotations

from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.model.presence_event import PresenceEvent


def hold(**online: int) -> Debouncer:
    """Holds of 5, 3 and 1 s, with these users settled online."""
    made = Debouncer(DebounceTimes(online=5000, leave=3000, timeout=1000))
    made.load(online)
    return made


def seen(user: str, online: bool, at: int, reason: str = "") -> PresenceEvent:
    """One event."""
    return PresenceEvent(user, online, at, 0, reason or ("join" if online else "leave"))


def test_a_new_state_settles_after_its_hold() -> None:
    """Not a millisecond earlier."""
    one = hold()
    assert one.see([seen("ann", True, 1000)], "1").arrived == ["ann"]
    assert one.next_due() == 6000
    assert one.take(5999, 10) == []
    (change,) = one.take(6000, 10)
    assert (change.user, change.online, change.at, change.tell) == ("ann", True, 1000, True)
    one.resolved(change)
    assert one.finished() == ["1"]
    assert one.finished() == []


def test_a_repeat_does_not_move_the_deadline_but_is_the_time_that_settles() -> None:
    """And its entry waits as well."""
    one = hold()
    one.see([seen("ann", True, 1000)], "1")
    one.see([seen("ann", True, 4000)], "2")
    (change,) = one.take(6000, 10)
    assert (change.at, change.entries) == (4000, ["1", "2"])


def test_leaves_and_timeouts_have_holds_of_their_own() -> None:
    """After a timeout PubNub has waited already."""
    one = hold(ann=1, bob=1)
    one.see([seen("ann", False, 1000), seen("bob", False, 1000, "timeout")], "1")
    assert [change.user for change in one.take(2000, 10)] == ["bob"]
    assert [change.user for change in one.take(4000, 10)] == ["ann"]


def test_a_flap_is_written_at_once_and_not_told() -> None:
    """Its entries are needed until then; the user gets a sync for the way back."""
    one = hold(ann=1)
    one.see([seen("ann", False, 1000)], "1")
    noticed = one.see([seen("ann", True, 2000)], "2")
    assert (noticed.flaps, noticed.arrived) == (1, ["ann"])
    (change,) = one.take(2000, 10)
    assert (change.online, change.at, change.tell, change.entries) == (True, 2000, False, ["1", "2"])
    assert one.take(99_000, 10) == []
    one.resolved(change)
    assert one.finished() == ["1", "2"]


def test_an_older_event_than_known_is_nothing_new() -> None:
    """Its entry goes with the newer one's."""
    one = hold(ann=1000)
    assert one.see([seen("ann", False, 500)], "1").doubtful == []
    assert one.finished() == ["1"]
    one.see([seen("ann", False, 2000)], "2")
    one.see([seen("ann", True, 1500)], "3")
    (change,) = one.take(5000, 10)
    assert (change.online, change.entries) == (False, ["2", "3"])


def test_what_was_seen_is_known_until_it_is_written() -> None:
    """A reconcile meanwhile has nothing to repair."""
    one = hold(ann=1)
    assert one.observed("ann") is None
    one.see([seen("ann", False, 1000), seen("bob", True, 1000)], "1")
    assert (one.observed("ann"), one.observed("bob")) == (False, True)
    for change in one.take(6000, 10):
        assert one.observed(change.user) is change.online
        one.resolved(change)
    assert (one.observed("ann"), one.observed("bob")) == (None, None)


def test_join_join_leave_settles_as_the_newest() -> None:
    """A recorded order of a quick re-join."""
    one = hold()
    one.see([seen("ann", True, 1000), seen("ann", True, 1800), seen("ann", False, 1500)], "1")
    (change,) = one.take(6000, 10)
    assert (change.online, change.at) == (True, 1800)


def test_the_same_time_with_another_state_is_a_doubt() -> None:
    """Its entry is needed until the look-up stands in the stream."""
    one = hold(ann=1000)
    (doubt,) = one.see([seen("ann", False, 1000)], "1").doubtful
    assert doubt.user == "ann"
    assert one.finished() == []
    one.looked_up("1")
    assert one.finished() == ["1"]


def test_a_repeat_of_the_settled_state_needs_no_write_where_the_time_is_known() -> None:
    """For those who left lately as well."""
    one = hold(ann=1000)
    one.see([seen("ann", True, 1000)], "1")
    assert one.finished() == ["1"]
    one.see([seen("ann", False, 2000)], "2")
    (change,) = one.take(5000, 10)
    one.resolved(change)
    one.see([seen("ann", False, 2000)], "3")
    assert one.finished() == ["2", "3"]


def test_what_is_read_again_at_a_take_over_is_written_and_told() -> None:
    """Even when equal to the flag: the last owner may have died before telling."""
    one = hold(ann=1000)
    one.see([seen("ann", True, 1000)], "1", again=True)
    (change,) = one.take(1000, 10)
    assert change.again


def test_who_is_taken_counts_as_settled() -> None:
    """A leave that comes while the join is being written waits for its own hold."""
    one = hold()
    one.see([seen("ann", True, 1000)], "1")
    (join,) = one.take(6000, 10)
    one.see([seen("ann", False, 6500)], "2")
    assert one.next_due() == 9500
    one.resolved(join)
    (leave,) = one.take(9500, 10)
    assert (leave.online, leave.tell) == (False, True)


def test_a_change_due_while_the_last_is_being_written_waits_for_it() -> None:
    """One write a user at a time."""
    one = hold()
    one.see([seen("ann", True, 1000)], "1")
    (join,) = one.take(6000, 10)
    one.see([seen("ann", False, 6500)], "2")
    assert one.take(20_000, 10) == []
    one.resolved(join)
    assert [change.online for change in one.take(20_000, 10)] == [False]


def test_a_graph_that_knew_better_is_believed() -> None:
    """Then the same event again is a change, not a repeat."""
    one = hold()
    one.see([seen("ann", True, 1000)], "1")
    (join,) = one.take(6000, 10)
    one.resolved(join, (False, 5000))
    assert "ann" not in one.online
    one.see([seen("ann", True, 7000)], "2")
    assert one.next_due() == 12_000


def test_a_confirmed_leave_becomes_a_silent_presence() -> None:
    """Another device is there."""
    one = hold(ann=1)
    one.see([seen("ann", False, 1000)], "1")
    (leave,) = one.take(4000, 10)
    one.confirmed(leave, 4100)
    assert (leave.online, leave.at, leave.tell) == (True, 4100, False)
    assert one.online["ann"] == 4100


def test_a_batch_is_as_large_as_it_may_be() -> None:
    """What is left is due still."""
    one = hold()
    one.see([seen(str(number), True, 1000) for number in range(10)], "1")
    assert len(one.take(6000, 4)) == 4
    assert len(one.take(6000, 100)) == 6


def test_nothing_is_taken_before_the_beginning() -> None:
    """A new owner waits for its first poll."""
    one = hold()
    one.begin_at(8000)
    one.see([seen("ann", True, 1000)], "1")
    assert one.next_due() == 8000
    assert one.take(7999, 10) == []
    assert len(one.take(8000, 10)) == 1


def test_an_entry_without_news_is_finished_at_once() -> None:
    """An empty one, too."""
    one = hold()
    one.see([], "1")
    assert one.finished() == ["1"]


def test_who_flaps_again_keeps_the_place_in_the_row() -> None:
    """However fast users flap, one after the other is written, and what stood in the stream of them can go."""
    one = hold(ann=1, bob=1, cid=1)
    for moment, user in enumerate(["ann", "bob", "cid", "ann"]):
        one.see([seen(user, False, 1000 + 10 * moment)], f"{moment}-")
        one.see([seen(user, True, 1005 + 10 * moment)], f"{moment}+")
    (change,) = one.take(2000, 1)
    assert (change.user, change.entries) == ("ann", ["0-", "0+", "3-", "3+"])
    one.resolved(change)
    assert one.finished() == ["0-", "0+", "3-", "3+"]


def test_what_has_been_due_for_longest_is_written_first() -> None:
    """Flaps without end keep nobody waiting whose friends are to be told."""
    one = hold(ann=1, bob=1)
    one.see([seen("cid", True, 1000)], "1")
    one.see([seen("ann", False, 5990), seen("ann", True, 5995)], "2")
    one.see([seen("bob", False, 6010), seen("bob", True, 6015)], "3")
    assert [change.user for change in one.take(7000, 2)] == ["ann", "cid"]
    assert [change.user for change in one.take(7000, 2)] == ["bob"]
