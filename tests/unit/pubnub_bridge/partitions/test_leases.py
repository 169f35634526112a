"""Leases: rendezvous hashing says who owns a partition, a lost lease ends owning, a stop gives every lease back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.partitions.leases import Leases, owner_of
from pubnub_bridge.store import keys
from tests.simulation.gates import Gates
from tests.simulation.loop import Life
from tests.simulation.store import Store, ValkeyPort


class Owned:
    """The partitions that are assigned now."""

    def __init__(self) -> None:
        self.now: list[int] = []

    async def assigned(self, partition: int) -> None:
        self.now.append(partition)

    def revoked(self, partition: int) -> None:
        self.now.remove(partition)


def leases_of(store: Store, name: str) -> tuple[Leases, Owned]:
    owner = Owned()
    valkey: Any = ValkeyPort(store, Gates(), Life(name))
    return Leases(valkey=valkey, name=name, partitions=2, owner=owner), owner


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


async def test_a_bridge_whose_lease_another_holds_stops_owning_the_partition() -> None:
    """It was frozen for longer than the lease, and another one took it."""
    store = Store(lambda: 1000)
    leases, owner = leases_of(store, "a")
    await leases.step()
    assert sorted(owner.now) == [0, 1]
    store.leases[keys.owner(1)] = ("b", 9000)
    await leases.step()
    assert owner.now == [0]
    assert leases.owned == {0}


async def test_a_stop_gives_every_lease_back() -> None:
    store = Store(lambda: 1000)
    leases, owner = leases_of(store, "a")
    await leases.step()
    await leases.close()
    assert (owner.now, store.leases, store.members[keys.BRIDGES]) == ([], {}, {})


async def test_two_live_bridges_share_the_partitions() -> None:
    """Each partition has one owner after two rounds."""
    store = Store(lambda: 1000)
    (a, _), (b, _) = leases_of(store, "a"), leases_of(store, "c")
    for _ in range(3):
        await a.step()
        await b.step()
    assert sorted([*a.owned, *b.owned]) == [0, 1]
