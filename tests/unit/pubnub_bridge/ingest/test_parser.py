"""Presence bodies become presence events; nothing that PubNub sends raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.ingest.parser import MIN_COMPARE_INTERVAL_MILLISECONDS, OccupancyTracker, ParsedPresence
from pubnub_bridge.model.presence_event import PresenceEvent

NOW = 1_757_969_858_500


def parsed(body: Any, published: int = NOW, now: int = NOW) -> ParsedPresence:
    """One body of shard 7."""
    found = ParsedPresence()
    found.add(7, body, published, now)
    return found


def test_a_join_has_its_precise_time() -> None:
    """As recorded in 2025."""
    body = {
        "action": "join", "uuid": "david", "timestamp": 1757969858, "precise_timestamp": 1757969858405, "occupancy": 2,
    }  # fmt: skip
    found = parsed(body)
    assert found.events == [PresenceEvent("david", True, 1757969858405, 7, "join")]
    assert found.occupancy == {7: 2}
    assert found.events[0].event_id == "evt_presence_david_1757969858405"


@pytest.mark.parametrize(("action", "online"), [("leave", False), ("timeout", False), ("join", True)])
def test_a_timeout_counts_as_a_leave(action: str, online: bool) -> None:
    """And has its own reason, for its own debounce time."""
    (event,) = parsed({"action": action, "uuid": "ann", "timestamp": 1757969858}).events
    assert (event.online, event.reason) == (online, action)


def test_whole_seconds_are_refined_by_the_publish_time() -> None:
    """Recordings of 2020 have no milliseconds; a publish far from the stamp does not count."""
    body = {"action": "join", "uuid": "ann", "timestamp": 1757969858}
    assert parsed(body, published=1757969858640).events[0].at == 1757969858640
    assert parsed(body, published=1757969899000, now=1757969899000).events[0].at == 1757969858000


def test_an_interval_names_its_users_at_its_publish_time() -> None:
    """Its timestamp has whole seconds and could lie before an announced event."""
    body = {
        "action": "interval",
        "timestamp": 1757969858,
        "occupancy": 4,
        "join": ["a"],
        "leave": ["b"],
        "timeout": ["c"],
    }
    found = parsed(body, published=1757969858700)
    assert [(s.user, s.online, s.at) for s in found.events] == [
        ("a", True, 1757969858700), ("b", False, 1757969858700), ("c", False, 1757969858700),
    ]  # fmt: skip


def test_a_user_of_two_arrays_has_two_events_at_one_time() -> None:
    """Which the debouncer takes for a conflict."""
    found = parsed({"action": "interval", "timestamp": 1757969858, "join": ["a"], "leave": ["a"]})
    assert [(s.user, s.online) for s in found.events] == [("a", True), ("a", False)]


def test_a_refresh_requests_here_now() -> None:
    """The arrays next to it are incomplete but correct."""
    found = parsed({"action": "interval", "timestamp": 1757969858, "here_now_refresh": True, "join": ["a"]})
    assert found.refresh == {7}
    assert len(found.events) == 1


def test_a_time_far_ahead_is_replaced() -> None:
    """By the publish time, which PubNub sets, or by PubNub's time."""
    body = {"action": "join", "uuid": "ann", "precise_timestamp": NOW + 600_000}
    assert parsed(body, published=NOW - 5).events[0].at == NOW - 5
    assert parsed(body, published=NOW + 700_000).events[0].at == NOW


@pytest.mark.parametrize(
    "body", [None, [], "x", 1, {"action": "dance"}, {"action": "join"}, {"action": "join", "uuid": 5}]
)
def test_an_unknown_shape_is_reported_and_nothing_more(body: Any) -> None:
    """With one reason."""
    found = parsed(body)
    assert found.events == []
    assert len(found.unknown) == 1


def test_a_state_change_is_no_presence_event() -> None:
    """Nor an unknown shape."""
    found = parsed({"action": "state-change", "uuid": "ann", "data": {"mood": "good"}})
    assert (found.events, found.unknown) == ([], [])


def test_an_occupancy_that_does_not_follow_from_the_events_is_compared_but_not_again_at_once() -> None:
    """One user joined without an event; after a comparison the shard is left alone for a while."""
    tracker = OccupancyTracker()
    join = {"action": "join", "uuid": "ann", "timestamp": 1757969858}
    assert tracker.shards_to_compare(parsed(join | {"occupancy": 3}), NOW) == set()
    assert tracker.shards_to_compare(parsed(join | {"occupancy": 4}), NOW) == set()
    assert tracker.shards_to_compare(parsed(join | {"occupancy": 6}), NOW) == {7}
    assert tracker.shards_to_compare(parsed(join | {"occupancy": 8}), NOW + 1) == set()
    assert tracker.shards_to_compare(ParsedPresence(), NOW + MIN_COMPARE_INTERVAL_MILLISECONDS) == {7}
    assert tracker.shards_to_compare(ParsedPresence(), NOW + 3 * MIN_COMPARE_INTERVAL_MILLISECONDS) == set()


def test_without_deltas_every_interval_leads_to_a_comparison() -> None:
    """A join and a leave leave the occupancy as it is; with Deltas an empty interval means no change."""
    tracker = OccupancyTracker()
    bare = {"action": "interval", "timestamp": 1757969858, "occupancy": 30}
    assert [tracker.shards_to_compare(parsed(bare), NOW + turn) for turn in range(3)] == [{7}] * 3
    assert tracker.shards_to_compare(parsed(bare | {"join": ["ann"], "occupancy": 31}), NOW) == set()
    assert tracker.shards_to_compare(parsed(bare | {"occupancy": 31}), NOW) == set()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda children: st.lists(children) | st.dictionaries(st.sampled_from(
        ["action", "uuid", "timestamp", "precise_timestamp", "join", "leave", "timeout", "occupancy", "here_now_refresh"]
    ), children),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from(["join", "leave", "timeout", "interval", None]))
def test_no_body_raises(body: Any, action: str | None) -> None:
    """For any JSON."""
    if isinstance(body, dict) and action:
        body["action"] = action
    for event in parsed(body).events:
        assert isinstance(event.user, str)
        assert event.at <= NOW + 60_000
