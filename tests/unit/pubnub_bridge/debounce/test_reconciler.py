"""A shard's flags compared with Here Now."""

from __future__ import annotations

from pubnub_bridge.debounce.reconciler import compare


def test_only_the_users_of_a_shard_are_compared_with_its_flags() -> None:
    found = compare(["ann", "bob", "stranger"], {"bob": 1, "cat": 1}, lambda user: user != "stranger")
    assert (sorted(found.arrived), sorted(found.missing)) == (["ann"], ["cat"])
