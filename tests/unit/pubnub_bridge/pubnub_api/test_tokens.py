"""Least privilege: what a client's token allows."""

from __future__ import annotations

from pubnub_bridge.pubnub_api.tokens import client_grant


def test_a_client_may_read_its_inbox_its_shard_and_the_count() -> None:
    """And nothing with a pattern, no presence channel, no update."""
    grant = client_grant("ann", ("presence.shard-7",))
    assert set(grant.read) == {"inbox.ann", "presence.shard-7", "status.global"}
    assert (grant.get, grant.get_uuids) == (("friends.ann",), ("ann",))
    assert (grant.read_patterns, grant.write_patterns) == ((), ())
