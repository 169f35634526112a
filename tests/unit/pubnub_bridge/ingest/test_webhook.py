"""Events & Actions webhooks in all shapes that were captured or documented."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_service.model.sharding import ShardMap
from pubnub_bridge.ingest.webhook import parse_webhook

SHARDS = ShardMap()
NOW = 1_750_067_620_000
PREFIX = "pubnub.com/schemas/events/"
JOINED = PREFIX + "presence.user.channel.joined?v=1.0.0"


def item(**more: Any) -> dict[str, Any]:
    """One item as captured."""
    return {
        "id": "1d55", "channel": "presence.shard-7", "userId": "ann", "occupancy": 3, "data": {},
        "timestamp": "2025-06-16T09:53:39.021Z", "subKey": "S",
    } | more  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"schema": JOINED, "data": [item()]},
        {"dataSchema": JOINED, "data": [item()]},
        {"schema": PREFIX + JOINED, "data": [item()]},
        {"schema": JOINED, "event": {"payload": {"data": [item()]}}},
        {"event": {"payload": {"schema": JOINED, "data": [item()]}}},
        {"schema": JOINED, "data": [item(occupancy="3")]},
        {"schema": JOINED, "data": [{k: v for k, v in item().items() if k != "occupancy"}]},
        {"schema": JOINED, "data": [item(channel=None, channelId="presence.shard-7")]},
        {"schema": JOINED} | item(),
        [{"schema": JOINED, "data": [item()]}],
        {"schema": "x"} | item(action="join", userId=None, uuid="ann"),
    ],
    ids=lambda body: str(sorted(body) if isinstance(body, dict) else "list"),
)
def test_a_join_is_parsed_in_every_envelope(body: Any) -> None:
    """With the time of the item."""
    (event,) = parse_webhook(body, SHARDS, NOW).events
    assert (event.user, event.online, event.shard, event.reason) == ("ann", True, 7, "join")
    assert event.at == 1_750_067_619_021


def test_a_leave_without_occupancy_and_a_timeout_under_another_schema() -> None:
    """Both as captured."""
    left = {"schema": PREFIX + "presence.user.channel.left?v=1.0.0", "data": [item()]}
    assert [event.reason for event in parse_webhook(left, SHARDS, NOW).events] == ["leave"]
    timed = {
        "schema": PREFIX + "presence.channel.occupancy.counted?v=1.0.0",
        "data": [item(data={"action": "timeout"})],
    }
    assert [event.reason for event in parse_webhook(timed, SHARDS, NOW).events] == ["timeout"]


def test_digits_in_text_are_numbers() -> None:
    """`data.data` repeats everything as strings."""
    body = {"schema": JOINED, "data": [item(data={"action": "join", "precise_timestamp": "1750067619055"})]}
    assert parse_webhook(body, SHARDS, NOW).events[0].at == 1_750_067_619_055


@pytest.mark.parametrize("names", [("usersJoined", "usersLeft"), ("usersJoinedDelta", "usersLeftDelta")])
def test_an_interval_names_its_users(names: tuple[str, str]) -> None:
    """Under either name."""
    body = {
        "schema": PREFIX + "presence.channel.occupancy.counted?v=1.0.0",
        "data": [item(userId=None, occupancy="3", **{names[0]: ["a"], names[1]: ["b"]})],
    }
    assert [(event.user, event.online) for event in parse_webhook(body, SHARDS, NOW).events] == [
        ("a", True),
        ("b", False),
    ]


def test_other_channels_and_events_without_presence_are_ignored() -> None:
    """They are not reported as unknown."""
    other = {"schema": JOINED, "data": [item(channel="inbox.ann")]}
    quiet = {"schema": PREFIX + "presence.channel.state.active?v=1.0.0", "data": [item()]}
    for body in (other, quiet):
        found = parse_webhook(body, SHARDS, NOW)
        assert (found.events, found.unknown) == ([], [])


@pytest.mark.parametrize(
    "body", [None, 1, "x", {}, {"schema": "x", "data": 5}, {"schema": "x", "data": [item()]}]
)
def test_an_unknown_shape_is_reported(body: Any) -> None:
    assert parse_webhook(body, SHARDS, NOW).unknown


@given(st.recursive(st.none() | st.text() | st.integers(), lambda c: st.lists(c) | st.dictionaries(
    st.sampled_from(["schema", "data", "event", "payload", "channel", "userId", "timestamp", "action", "usersJoined"]), c
), max_leaves=10))  # fmt: skip
def test_no_body_raises(body: Any) -> None:
    """For any JSON."""
    parse_webhook(body, SHARDS, NOW)
