"""Small rules: what an answer means, who owns what, what differs, what a token allows, what a count says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_service.model.messages import MESSAGE
from pubnub_bridge.debounce.reconciler import compare
from pubnub_bridge.observe.online_count import counted
from pubnub_bridge.partitions.leases import owner_of
from pubnub_bridge.pubnub_api.app_context import members
from pubnub_bridge.pubnub_api.publish_client import Outcome, judged
from pubnub_bridge.pubnub_api.tokens import client_grant


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, '[1,"Sent","17"]', Outcome.SENT),
        (429, "{}", Outcome.LATER),
        (500, "", Outcome.LATER),
        (503, "{}", Outcome.LATER),
        (200, "<html>", Outcome.LATER),
        (403, '{"message":"Forbidden"}', Outcome.DENIED),
        (400, '[0,"Invalid JSON","17"]', Outcome.REFUSED),
        (413, '[0,"Message Too Large","17"]', Outcome.REFUSED),
        (414, "{}", Outcome.REFUSED),
        (400, '[0,"Invalid Key","17"]', Outcome.LATER),
        (400, '{"message":"Invalid Subscribe Key"}', Outcome.LATER),
    ],
)
def test_only_a_fault_of_the_message_itself_is_final(status: int, body: str, outcome: Outcome) -> None:
    """A wrong key is the operator's to mend; nothing is thrown away for it."""
    assert judged(status, body, None).outcome is outcome


def test_a_server_may_ask_to_wait() -> None:
    """In seconds, within reason."""
    assert judged(429, "", "7").retry_after == 7.0
    assert judged(429, "", "9999").retry_after == 60.0
    assert judged(429, "", "soon").retry_after == 0.0
    assert judged(429, "", None).rate_limited
    assert not judged(500, "", "7").rate_limited


@given(st.sets(st.text(min_size=1, max_size=8), min_size=2, max_size=8), st.integers(0, 99))
def test_a_bridge_that_goes_moves_only_its_own_partitions(bridges: set[str], partition: int) -> None:
    """And no order of names matters."""
    owner = owner_of(partition, sorted(bridges))
    assert owner_of(partition, sorted(bridges, reverse=True)) == owner
    for gone in bridges - {owner or ""}:
        assert owner_of(partition, bridges - {gone}) == owner


def test_without_bridges_nobody_owns() -> None:
    """As at the first start."""
    assert owner_of(1, []) is None


def test_partitions_spread_over_bridges() -> None:
    """None of three is left without."""
    assert len({owner_of(partition, ["a", "b", "c"]) for partition in range(20)}) == 3


def test_a_shard_is_compared_with_its_flags() -> None:
    """Of those present only the shard's own users count."""
    found = compare(["ann", "bob", "stranger"], {"bob": 1, "cat": 1}, lambda user: user != "stranger")
    assert (sorted(found.arrived), sorted(found.missing)) == (["ann"], ["cat"])


def test_a_client_may_read_its_inbox_its_shard_and_the_count() -> None:
    """And nothing with a pattern, no presence channel, no update."""
    grant = client_grant("ann", ("presence.shard-7",))
    assert set(grant.read) == {"inbox.ann", "presence.shard-7", "status.global"}
    assert (grant.get, grant.get_uuids) == (("friends.ann",), ("ann",))
    assert (grant.read_patterns, grant.write_patterns) == ((), ())


def test_a_count_tells_its_change_and_whether_to_trust_it() -> None:
    """The first one has no change to tell."""
    first = counted(5, None, None, 30, 1_700_000_000_000_000)
    assert (first.payload.delta, first.payload.degraded) == (0, False)
    second = counted(3, 5, "late", 30, 1_700_000_010_000_000)
    assert (second.payload.delta, second.payload.degraded, second.payload.reason) == (-2, True, "late")
    assert second.event_id == "evt_global_count_1700000010"
    MESSAGE.validate_json(second.model_dump_json(by_alias=True))


def test_members_are_changed_to_the_active_friends() -> None:
    """At most a hundred."""
    change = members({"ann", "bob"}, [("bob", 1), ("cat", 2)])
    assert (change.added, change.removed) == ({"cat": 2}, ["ann"])
    many = members(set(), [(str(number), 1) for number in range(200)])
    assert len(many.added) == 100
