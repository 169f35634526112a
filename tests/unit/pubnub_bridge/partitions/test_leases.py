"""Rendezvous hashing: who owns a partition follows from the names of the live bridges alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.partitions.leases import owner_of


@given(st.sets(st.text(min_size=1, max_size=8), min_size=2, max_size=8), st.integers(0, 99))
def test_a_bridge_that_stops_moves_only_its_own_partitions(bridges: set[str], partition: int) -> None:
    """And the order of names does not matter."""
    owner = owner_of(partition, sorted(bridges))
    assert owner_of(partition, sorted(bridges, reverse=True)) == owner
    for gone in bridges - {owner or ""}:
        assert owner_of(partition, bridges - {gone}) == owner


def test_without_bridges_a_partition_has_no_owner() -> None:
    assert owner_of(1, []) is None


def test_partitions_spread_over_all_bridges() -> None:
    assert len({owner_of(partition, ["a", "b", "c"]) for partition in range(20)}) == 3
