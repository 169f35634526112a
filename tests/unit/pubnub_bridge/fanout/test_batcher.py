"""The batcher, moved by hand: what goes into a batch, when it is due, which entries are still needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.fanout.batcher import AdaptiveWindow, Batcher, BatchWindow, PendingBatch
from pubnub_bridge.model.notification import Event, Notification, SyncNotification


def event(user: str, kind: str, ts: int, at: int = 0) -> Event:
    """One event; its body says what it is."""
    return Event(user, kind, at or ts, ts, f"{user} {kind} {ts}".encode())


def published(batch: PendingBatch) -> list[str]:
    """The bodies of a batch."""
    return [one.body.decode() for one in batch.events()]


def test_a_single_notification_is_due_at_once() -> None:
    """Calm costs nothing."""
    one = Batcher(window=BatchWindow())
    one.add([Notification(event("ann", "online", 1), ["bob", "cat"])], now=10.0)
    assert one.next_due() == 10.0
    assert [batch.inbox for batch in one.take(10.0, 9)] == ["bob", "cat"]


def test_in_a_window_everything_for_one_inbox_becomes_one_batch() -> None:
    """Of several events about one friend the newest is published."""
    one = Batcher(window=BatchWindow())
    one.add([Notification(event("ann", "offline", 2), ["bob"])], 0.0, window=1.0)
    one.add(
        [Notification(event("ann", "online", 1), ["bob"]), Notification(event("cat", "online", 3), ["bob"])],
        0.5,
        1.0,
    )
    assert one.take(0.9, 9) == []
    (batch,) = one.take(1.0, 9)
    assert published(batch) == ["ann offline 2", "cat online 3"]
    assert one.coalesced == 1


def test_what_waits_goes_out_as_soon_as_the_window_allows_it() -> None:
    """The batches of a storm do not linger when it is over; a window that opens moves none of them."""
    one = Batcher(window=BatchWindow(min_interval_seconds=0.1))
    one.add([Notification(event("ann", "online", 1), ["bob", "cat"])], 0.0, window=30.0)
    one.add([Notification(event("dan", "online", 2), ["eve"])], 5.0, window=30.0)
    assert one.next_due() == 30.0
    one.window = 8.0
    assert one.next_due() == 8.0
    assert [batch.inbox for batch in one.take(8.0, 1)] == ["bob"]
    assert [batch.inbox for batch in one.take(12.0, 9)] == ["cat"]
    one.window = 60.0
    assert one.take(34.9, 9) == []
    assert [batch.inbox for batch in one.take(35.0, 9)] == ["eve"]
    assert one.next_due() is None


def test_a_sync_does_not_wait_for_the_window_and_takes_along_what_does() -> None:
    """A user who arrives in the middle of a storm sees their friends."""
    one = Batcher(window=BatchWindow())
    one.add([Notification(event("ann", "online", 1), ["bob"])], 0.0, window=30.0)
    one.add([SyncNotification("bob", 2, 1, ["ann"])], 1.0, window=30.0)
    (batch,) = one.take(1.0, 9)
    assert batch.sync is not None
    assert published(batch) == ["ann online 1"]


def test_a_presence_older_than_the_queued_end_is_dropped() -> None:
    """One that is newer means that they are friends again."""
    one = Batcher(window=BatchWindow())
    events = [
        event("ann", "online", 1),
        event("ann", "removed", 2),
        event("cat", "removed", 2),
        event("cat", "online", 3),
    ]
    one.add([Notification(one_event, ["bob"]) for one_event in events], 0.0)
    (batch,) = one.take(0.0, 9)
    assert published(batch) == ["ann removed 2", "cat removed 2", "cat online 3"]


def test_batches_to_one_inbox_keep_a_minimum_interval_and_their_order() -> None:
    """The next one waits until the last is done, and a little longer."""
    one = Batcher(window=BatchWindow(min_interval_seconds=0.1))
    one.add([Notification(event("ann", "online", 1), ["bob"])], 0.0)
    (first,) = one.take(0.0, 9)
    one.add([Notification(event("ann", "offline", 2), ["bob"])], 0.0)
    assert one.take(5.0, 9) == []
    one.done(first, 5.0)
    assert one.take(5.05, 9) == []
    assert published(one.take(5.1, 9)[0]) == ["ann offline 2"]


def test_an_entry_is_needed_until_all_before_it_are_done() -> None:
    """A batch may contain the first half of one and the second of another."""
    one = Batcher(window=BatchWindow())
    first = one.add([Notification(event("ann", "online", 1), ["bob", "cat"])], 0.0)
    second = one.add([Notification(event("dan", "online", 2), ["bob"])], 0.0)
    batches = one.take(0.0, 9)
    one.done(batches[0], 0.0)
    assert one.finished() == []
    one.done(batches[1], 0.0)
    assert one.finished() == [first, second]


def test_an_empty_entry_is_finished_at_once() -> None:
    """Nothing waits for it."""
    one = Batcher(window=BatchWindow())
    generation = one.add([], 0.0)
    assert one.finished() == [generation]


def test_one_sync_is_pending_and_one_that_is_read_replaces_one_that_is_not() -> None:
    """And of two that were read the newer."""
    one = Batcher(window=BatchWindow())
    one.add(
        [
            SyncNotification("ann", reason="join"),
            SyncNotification("ann", 5, 1, ["bob"]),
            SyncNotification("ann", 4, 1, []),
        ],
        0.0,
    )
    (batch,) = one.take(0.0, 9)
    assert batch.sync == SyncNotification("ann", 5, 1, ["bob"])


def test_a_user_gets_at_most_one_sync_a_second() -> None:
    """Asking again waits; it is not refused."""
    one = Batcher(window=BatchWindow())
    one.add([SyncNotification("ann", reason="asked")], 0.0)
    one.done(one.take(0.0, 9)[0], 0.0)
    one.add([SyncNotification("ann", reason="asked")], 0.2)
    assert one.take(0.9, 9) == []
    assert len(one.take(1.0, 9)) == 1


def test_the_push_at_a_join_is_left_out_after_one_that_was_asked_for() -> None:
    """The client asked when it had connected; the join comes a presence interval later."""
    one = Batcher(window=BatchWindow())
    one.add([SyncNotification("ann", reason="asked")], 0.0)
    one.done(one.take(0.0, 9)[0], 0.0)
    one.add([SyncNotification("ann", reason="join")], 9.0)
    assert len(one) == 0
    one.add([SyncNotification("ann", 7, 0, [])], 9.0)
    assert len(one) == 1


def test_what_failed_too_often_becomes_a_pending_sync_but_a_friendship_event_stays() -> None:
    """A sync contains presence; friendship is in no sync."""
    batch = PendingBatch("bob", 1, 0.0)
    batch.put(event("ann", "online", 1))
    batch.put(event("cat", "added", 2))
    requeued = batch.to_requeue(max_tries=3)
    assert [one.tries for one in requeued if isinstance(one, Notification)] == [1, 1]
    batch.tries = 3
    friendship, sync = batch.to_requeue(max_tries=3)
    assert isinstance(friendship, Notification)
    assert friendship.event.kind == "added"
    assert sync == SyncNotification("bob", reason="lost")


def test_the_window_opens_with_the_lateness_and_closes_by_and_by() -> None:
    """None when calm, twice the lateness under load, never more than the maximum."""
    one = AdaptiveWindow(window=BatchWindow(min_seconds=0.0, max_seconds=30.0, calm_seconds=0.05))
    assert one.observe(0.04, 0.0) == 0.0
    assert one.observe(1.0, 1.0) == 2.0
    assert one.observe(0.0, 2.0) == 1.0
    assert one.observe(100.0, 2.5) == 30.0
    assert one.observe(0.0, 60.0) == 0.0
    assert AdaptiveWindow(window=BatchWindow(min_seconds=1.0)).observe(0.0, 0.0) == 1.0


def test_times_of_quiet_inboxes_are_forgotten() -> None:
    """Memory does not grow with every user ever published to."""
    one = Batcher(window=BatchWindow())
    one.add([SyncNotification("ann", reason="asked")], 0.0)
    one.done(one.take(0.0, 9)[0], 0.0)
    one.forget(before=1.0)
    one.add([SyncNotification("ann", reason="asked")], 0.1)
    assert one.next_due() == 0.1


def test_the_window_is_wide_in_a_storm_and_closes_after_it() -> None:
    """By half a second; lateness may open it wider."""
    window = AdaptiveWindow(window=BatchWindow(min_seconds=0.0, max_seconds=30.0))
    assert window.observe(0.0, 1.0, min_seconds=3.0) == 3.0
    assert window.observe(2.0, 1.1, min_seconds=3.0) == 4.0
    assert window.observe(0.0, 2.1) == 2.0
    assert window.observe(0.0, 9.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 4)), max_size=40))
def test_no_more_batches_need_a_sync_at_once_than_admitted_and_none_is_forgotten(
    steps: list[tuple[int, int, int]],
) -> None:
    """Batches that need one are set aside, the others pass them; at the end all have gone out once."""
    one, now = Batcher(window=BatchWindow(min_interval_seconds=0.0, min_sync_interval_seconds=0.0)), 0.0
    in_flight: list[PendingBatch] = []
    collecting: set[str] = set()
    for user, limit, admitted in steps:
        now += 1.0
        one.add([SyncNotification(str(user), reason="lost")], now)
        collecting.add(str(user))
        max_syncs = admitted - sum(batch.needs_sync for batch in in_flight)
        batches = one.take(now, limit, max_syncs)
        assert sum(batch.needs_sync for batch in batches) <= max(0, max_syncs)
        collecting -= {batch.inbox for batch in batches}
        in_flight += batches
        if in_flight and limit == 3:
            one.done(in_flight.pop(0), now)
        assert len(one) == len(collecting)
    for batch in in_flight:
        one.done(batch, now)
    while batches := one.take(now + 1.0, 2, 1):
        assert len(batches) == 1
        collecting.remove(batches[0].inbox)
        one.done(batches[0], now + 1.0)
    assert not collecting
    assert one.busy == 0


def test_what_comes_just_after_a_message_keeps_the_minimum_interval_too() -> None:
    """A channel sustains so many messages a second."""
    batcher = Batcher(window=BatchWindow(min_interval_seconds=0.1))
    for moment in (0.0, 0.01):
        batcher.add([Notification(Event("ann", "online", 1, 1, b"{}"), ["bob"])], moment)
        for batch in batcher.take(moment, 1):
            batcher.done(batch, moment)
    assert batcher.next_due() == 0.1
