"""The notifications that clients receive are counted, and their age follows from the event ids."""

from __future__ import annotations

import time

from bench.harness.crowd import SAMPLED, MessageListener
from bench.harness.traces import Transition
from bench.system.rising_rates import Recorder

DEBOUNCE_MILLISECONDS = 5000


def body(*notifications: tuple[str, int]) -> bytes:
    """A subscribe reply with changes of these users at these times."""
    events = ",".join(f'{{"eventId":"evt_presence_{user}_{at}"}}' for user, at in notifications)
    return f'{{"t":{{"t":"17","r":1}},"m":[{{"d":{{"payload":{{"events":[{events}]}}}}}}]}}'.encode()


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def test_changes_are_counted_and_other_messages_are_not() -> None:
    """A sync is no change of one friend."""
    listener = MessageListener(DEBOUNCE_MILLISECONDS)
    listener.on_reply("me", body(("ann", now()), ("ben", now())), 0.0)
    listener.on_reply("me", b'{"m":[{"d":{"eventId":"evt_sync_me_17"}}]}', 0.0)
    assert (listener.notifications, listener.replies) == (2, 1)


def test_age_is_beyond_the_debounce_time_and_the_oldest_beyond_the_window() -> None:
    """Both changes of a message count, and the older one waited for the whole window."""
    listener = MessageListener(DEBOUNCE_MILLISECONDS)
    listener.window_ms = 1000
    for _ in range(SAMPLED):
        listener.on_reply(
            "me",
            body(("ann", now() - DEBOUNCE_MILLISECONDS - 100), ("ben", now() - DEBOUNCE_MILLISECONDS - 1100)),
            0.0,
        )
    assert listener.since_event.get_total_count() == 2
    assert 1100 <= listener.since_event.get_max_value() < 2000
    assert 100 <= listener.beyond.get_max_value() < 1000


def test_the_age_of_a_transition_counts_from_its_due_time() -> None:
    """PubNub's interval is included. An event older than the transition belongs to an earlier one."""
    listener = MessageListener(DEBOUNCE_MILLISECONDS)
    listener.due = {b"ann": now() - DEBOUNCE_MILLISECONDS - 3000, b"ben": now()}
    for _ in range(SAMPLED):
        listener.on_reply(
            "me", body(("ann", now() - DEBOUNCE_MILLISECONDS), ("ben", now() - DEBOUNCE_MILLISECONDS)), 0.0
        )
    assert listener.since_due.get_total_count() == 1
    assert 3000 <= listener.since_due.get_max_value() < 4000


def test_transitions_are_recorded_with_their_time_since_the_first() -> None:
    """Also when they are played in several calls."""
    recorder = Recorder()
    transitions = [Transition(0.5, "ann", True), Transition(1.5, "ben", True)]
    assert list(recorder.record(transitions)) == transitions
    assert list(recorder.record([Transition(0.25, "ann", False)])) == [Transition(0.25, "ann", False)]
    assert [transition.user for transition in recorder.transitions] == ["ann", "ben", "ann"]
    assert recorder.transitions[:2] == transitions
    assert 0.25 <= recorder.transitions[2].at < 5.0
