"""Leases: whoever finds that a lease is another's stops owning its partition, and a stop gives everything back."""

from __future__ import annotations

from typing import Any

from pubnub_bridge.store import keys
from pubnub_bridge.partitions.leases import Leases
from tests.simulation.gates import Gates
from tests.simulation.loop import Life
from tests.simulation.store import Store, ValkeyPort


class Owning:
    """Counts what is taken over and let go."""

    def __init__(self) -> None:
        self.now: list[int] = []

    async def take_over(self, partition: int) -> None:
        """Begin."""
        self.now.append(partition)

    def let_go(self, partition: int) -> None:
        """Stop."""
        self.now.remove(partition)


def owner(store: Store, name: str) -> tuple[Leases, Owning]:
    """One process's."""
    owning = Owning()
    valkey: Any = ValkeyPort(store, Gates(), Life(name))
    return Leases(valkey, name, 2, owning), owning


async def test_who_finds_that_a_lease_is_anothers_stops_owning_its_partition() -> None:
    """It slept for longer than the lease, and another one took it."""
    store = Store(lambda: 1000)
    ownership, owning = owner(store, "a")
    await ownership.step()
    assert sorted(owning.now) == [0, 1]
    store.leases[keys.owner(1)] = ("b", 9000)
    await ownership.step()
    assert owning.now == [0]
    assert ownership.owned == {0}


async def test_a_stop_gives_every_lease_back() -> None:
    """So nobody waits for them to end."""
    store = Store(lambda: 1000)
    ownership, owning = owner(store, "a")
    await ownership.step()
    await ownership.close()
    assert (owning.now, store.leases, store.members[keys.BRIDGES]) == ([], {}, {})


async def test_two_that_live_share_the_partitions() -> None:
    """By rendezvous hashing, each partition has one owner after two rounds."""
    store = Store(lambda: 1000)
    (a, _), (b, _) = owner(store, "a"), owner(store, "c")
    for _ in range(3):
        await a.step()
        await b.step()
    assert sorted([*a.owned, *b.owned]) == [0, 1]
