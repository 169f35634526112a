"""What people on the wire hear is counted, and its age is told from the moment in each event id."""

from __future__ import annotations

import time

from bench.harness.crowd import SAMPLED, Ear
from bench.harness.traces import Turn
from bench.system.rising_rates import Tape

HOLD_MS = 5000


def body(*notifications: tuple[str, int]) -> bytes:
    """A subscribe reply with news of these users at these moments."""
    events = ",".join(f'{{"eventId":"evt_presence_{user}_{at}"}}' for user, at in notifications)
    return f'{{"t":{{"t":"17","r":1}},"m":[{{"d":{{"payload":{{"events":[{events}]}}}}}}]}}'.encode()


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def test_news_are_counted_and_other_messages_are_not() -> None:
    """A sync is no news of one friend."""
    ear = Ear(HOLD_MS)
    ear.heard("me", body(("ann", now()), ("ben", now())), 0.0)
    ear.heard("me", b'{"m":[{"d":{"eventId":"evt_sync_me_17"}}]}', 0.0)
    assert (ear.notifications, ear.replies) == (2, 1)


def test_age_is_beyond_the_hold_and_the_oldest_beyond_the_window() -> None:
    """Of two changes in one message both count, and the older one waited for the whole window."""
    ear = Ear(HOLD_MS)
    ear.window_ms = 1000
    for _ in range(SAMPLED):
        ear.heard("me", body(("ann", now() - HOLD_MS - 100), ("ben", now() - HOLD_MS - 1100)), 0.0)
    assert ear.told.get_total_count() == 2
    assert 1100 <= ear.told.get_max_value() < 2000
    assert 100 <= ear.beyond.get_max_value() < 1000


def test_a_turn_s_age_counts_from_when_it_was_due() -> None:
    """PubNub's interval lies between; an event older than the turn is not the turn's."""
    ear = Ear(HOLD_MS)
    ear.due = {b"ann": now() - HOLD_MS - 3000, b"ben": now()}
    for _ in range(SAMPLED):
        ear.heard("me", body(("ann", now() - HOLD_MS), ("ben", now() - HOLD_MS)), 0.0)
    assert ear.acted.get_total_count() == 1
    assert 3000 <= ear.acted.get_max_value() < 4000


def test_turns_are_kept_by_their_moment_since_the_first() -> None:
    """Whatever they were played in."""
    tape = Tape()
    turns = [Turn(0.5, "ann", True), Turn(1.5, "ben", True)]
    assert list(tape.taken(turns)) == turns
    assert list(tape.taken([Turn(0.25, "ann", False)])) == [Turn(0.25, "ann", False)]
    assert [turn.user for turn in tape.turns] == ["ann", "ben", "ann"]
    assert tape.turns[:2] == turns
    assert 0.25 <= tape.turns[2].at < 5.0
