"""The presence state machine: joins, leaves, timeouts, state, intervals, debounce. All time is passed in."""

from __future__ import annotations

from typing import Any

from local_stack.origin.presence import Presence, Visit
from local_stack.origin.presence_events import QUIET, PresenceEvent, mirror, payload
from local_stack.origin.settings import PresenceSettings


def presence(**settings: Any) -> Presence:
    """An empty state machine with these settings."""
    return Presence(PresenceSettings(**settings))


def visit(uuid: str, *channels: str, **more: Any) -> Visit:
    """A sign of life on `channels`, or on ch."""
    return Visit(uuid, channels or ("ch",), **more)


def loud(events: list[PresenceEvent]) -> list[tuple[str, str | None, int]]:
    """What subscribers receive: action, user, occupancy."""
    return [(event.action, event.uuid, event.occupancy) for event in events if event.action not in QUIET]


def test_the_first_visit_joins_and_further_ones_do_not() -> None:
    """Occupancy is the value after the change."""
    machine = presence()
    assert loud(machine.visit(visit("ann"), 0)) == [("join", "ann", 1)]
    assert loud(machine.visit(visit("bob"), 1)) == [("join", "bob", 2)]
    assert machine.visit(visit("ann"), 2) == []
    assert list(machine.here("ch")) == ["ann", "bob"]
    assert machine.where("ann") == ["ch"]


def test_a_leave_is_announced_once() -> None:
    """An absent user's leave is not announced."""
    machine = presence()
    machine.visit(visit("ann"), 0)
    assert loud(machine.leave("ann", ["ch"], 1)) == [("leave", "ann", 0)]
    assert machine.leave("ann", ["ch"], 2) == []
    assert machine.where("ann") == []
    assert machine.channels() == []


def test_active_and_inactive_mark_the_first_and_the_last_occupant() -> None:
    machine = presence()
    assert [event.action for event in machine.visit(visit("ann"), 0)] == ["active", "join"]
    assert [event.action for event in machine.leave("ann", ["ch"], 1)] == ["leave", "inactive"]


def test_a_timeout_comes_after_the_documented_300_seconds() -> None:
    """The event has the time at which it was due."""
    machine = presence()
    machine.visit(visit("ann"), 1000.0)
    assert machine.run(1299.9) == []
    events = machine.run(9999.0)
    assert loud(events) == [("timeout", "ann", 0)]
    assert events[0].at == 1300.0


def test_a_heartbeat_of_20_seconds_is_honoured() -> None:
    machine = presence()
    machine.visit(visit("ann", timeout_s=20), 0)
    assert loud(machine.run(19.9)) == []
    assert loud(machine.run(20.0)) == [("timeout", "ann", 0)]


def test_explicit_heartbeats_postpone_the_timeout() -> None:
    """Each by its own period, shorter ones too."""
    machine = presence()
    machine.visit(visit("ann", timeout_s=100), 0)
    machine.visit(visit("ann", timeout_s=20, explicit=True), 50)
    assert loud(machine.run(70)) == [("timeout", "ann", 0)]


def test_implicit_heartbeats_postpone_it_only_where_they_are_on() -> None:
    for implicit, alive in ((True, []), (False, [("timeout", "ann", 0)])):
        machine = presence(implicit_heartbeat=implicit)
        machine.visit(visit("ann", timeout_s=20), 0)
        machine.visit(visit("ann", timeout_s=20), 10)
        assert loud(machine.run(20)) == alive


def test_untracked_channels_have_no_presence() -> None:
    """They look exactly like empty ones."""
    machine = presence(tracked=["presence.*", "one"])
    events = machine.visit(visit("ann", "presence.shard-1", "one", "other"), 0)
    assert [event.channel for event in events if event.action == "join"] == ["presence.shard-1", "one"]
    assert machine.here("other") == {}


def test_state_comes_with_the_join_it_came_with() -> None:
    machine = presence()
    events = machine.visit(visit("ann", states={"ch": {"mood": "fine"}}), 0)
    assert events[1].state == {"mood": "fine"}
    assert machine.state("ann", "ch") == {"mood": "fine"}


def test_a_changed_state_is_announced_in_either_mode() -> None:
    machine = presence(announce_max=0)
    machine.visit(visit("ann"), 0)
    events = machine.set_state("ann", {"ch": {"n": 1}}, 1)
    assert loud(events) == [("state-change", "ann", 1)]
    assert loud(machine.visit(visit("ann", states={"ch": {"n": 2}}, explicit=True), 2)) == [
        ("state-change", "ann", 1)
    ]
    assert machine.visit(visit("ann", states={"ch": {"n": 2}}, explicit=True), 3) == []


def test_a_state_set_before_the_join_is_found_after_it() -> None:
    machine = presence()
    assert machine.set_state("ann", {"ch": {"n": 1}}, 0) == []
    assert machine.state("ann", "ch") == {"n": 1}
    machine.visit(visit("ann"), 1)
    assert machine.here("ch") == {"ann": {"n": 1}}


def test_above_the_maximum_a_channel_is_announced_in_intervals() -> None:
    """The first change above it already waits; a quiet interval is announced; below it single events return."""
    machine = presence(announce_max=2, interval_s=10)
    for uuid in ("a", "b"):
        assert loud(machine.visit(visit(uuid), 0)) != []
    assert loud(machine.visit(visit("c"), 1)) == []
    assert loud(machine.visit(visit("d"), 5)) == []
    (event,) = machine.run(11)
    assert (event.action, event.at, event.occupancy, event.deltas) == (
        "interval",
        11,
        4,
        {"join": ("c", "d")},
    )
    (quiet,) = machine.run(21)
    assert quiet.deltas == {}
    machine.leave("d", ["ch"], 22)
    machine.leave("c", ["ch"], 23)
    (last,) = machine.run(40)
    assert (last.at, last.occupancy, last.deltas) == (31, 2, {"leave": ("d", "c")})
    assert loud(machine.leave("b", ["ch"], 41)) == [("leave", "b", 1)]


def test_timeouts_in_interval_mode_have_an_array_of_their_own() -> None:
    machine = presence(announce_max=0)
    machine.visit(visit("a", timeout_s=3), 0)
    events = machine.run(10)
    assert events[-1].deltas == {"join": ("a",), "timeout": ("a",)}


def test_a_return_within_the_debounce_is_no_leave() -> None:
    """Neither leave nor join is announced."""
    machine = presence(debounce_s=2)
    machine.visit(visit("ann"), 0)
    assert machine.leave("ann", ["ch"], 10) == []
    assert machine.visit(visit("ann", first=True), 11) == []
    assert machine.run(15) == []
    machine.leave("ann", ["ch"], 20)
    (left, _) = machine.run(30)
    assert (left.action, left.at) == ("leave", 22)


def test_a_return_may_be_announced_as_join_join_leave() -> None:
    """Recorded: the leave comes last although the user is there."""
    machine = presence(debounce_s=2, late_leaves=True)
    assert loud(machine.visit(visit("ann"), 0)) == [("join", "ann", 1)]
    machine.leave("ann", ["ch"], 10)
    assert loud(machine.visit(visit("ann"), 11)) == [("join", "ann", 1)]
    (late,) = machine.run(20)
    assert (late.action, late.at, late.occupancy) == ("leave", 12, 1)
    assert list(machine.here("ch")) == ["ann"]
    assert loud(machine.run(400)) == [("timeout", "ann", 0)]


def test_one_leave_ends_a_user_with_two_devices_until_the_other_sends_a_heartbeat() -> None:
    """The default reading of the documentation."""
    machine = presence()
    machine.visit(visit("ann", first=True), 0)
    assert machine.visit(visit("ann", first=True), 1) == []
    assert loud(machine.leave("ann", ["ch"], 2)) == [("leave", "ann", 0)]
    assert loud(machine.visit(visit("ann"), 3)) == [("join", "ann", 1)]


def test_each_device_may_be_announced_as_a_join() -> None:
    machine = presence(repeat_join=True)
    machine.visit(visit("ann", first=True), 0)
    assert loud(machine.visit(visit("ann", first=True), 1)) == [("join", "ann", 1)]
    assert machine.visit(visit("ann"), 2) == []


def test_a_dropped_channel_is_forgotten_without_an_event() -> None:
    """A fault: later timeouts of its users cause no event."""
    machine = presence()
    machine.visit(visit("ann"), 0)
    machine.drop("ch")
    assert machine.here("ch") == {}
    assert machine.where("ann") == []
    assert machine.run(1000) == []


def test_the_recorded_announcement_is_written_member_by_member() -> None:
    event = PresenceEvent("join", "ch", "david", 1757969858.405, 2)
    body = payload(event, PresenceSettings())
    assert list(body.items()) == [
        ("action", "join"),
        ("uuid", "david"),
        ("timestamp", 1757969858),
        ("precise_timestamp", 1757969858405),
        ("occupancy", 2),
    ]
    assert list(mirror(event, body).items()) == [
        ("pn_action", "join"),
        ("pn_channel", "ch"),
        ("pn_ispresence", 1),
        ("pn_occupancy", 2),
        ("pn_precise_timestamp", 1757969858405),
        ("pn_timestamp", 1757969858),
        ("pn_uuid", "david"),
    ]


def test_a_timeout_carries_empty_data() -> None:
    assert payload(PresenceEvent("timeout", "ch", "u", 1.0, 0), PresenceSettings())["data"] == {}


def test_the_recorded_interval_events_are_written_member_by_member() -> None:
    """Empty arrays are omitted."""
    deltas = {"join": ("another-client",), "leave": ("Client-d39lr", "client0")}
    event = PresenceEvent("interval", "demo", None, 1490958605.0, 2, deltas=deltas)
    assert payload(event, PresenceSettings()) == {
        "action": "interval",
        "timestamp": 1490958605,
        "occupancy": 2,
        "join": ["another-client"],
        "leave": ["Client-d39lr", "client0"],
    }
    assert payload(event, PresenceSettings(deltas=False)) == {
        "action": "interval",
        "timestamp": 1490958605,
        "occupancy": 2,
    }


def test_an_interval_over_30_kb_contains_no_or_only_some_users() -> None:
    """here_now_refresh, alone or with incomplete arrays."""
    users = tuple(f"{number:036d}" for number in range(900))
    event = PresenceEvent("interval", "ch", None, 1.0, 900, deltas={"join": users})
    assert payload(event, PresenceSettings()) == {
        "action": "interval",
        "timestamp": 1,
        "occupancy": 900,
        "here_now_refresh": True,
    }
    partial = payload(event, PresenceSettings(refresh_arrays="partial"))
    assert partial["here_now_refresh"] is True
    assert 0 < len(partial["join"]) < 900
    few = PresenceEvent("interval", "ch", None, 1.0, 700, deltas={"join": users[:700]})
    assert len(payload(few, PresenceSettings())["join"]) == 700


def test_the_mirror_shows_a_wildcard_channel_encoded() -> None:
    """a.* is a.%2A (recorded)."""
    event = PresenceEvent("join", "a.*", "u", 1.0, 1)
    assert mirror(event, payload(event, PresenceSettings()))["pn_channel"] == "a.%2A"
