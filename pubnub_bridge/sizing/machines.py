"""Cores and memory for a load, from measured unit costs. Pure arithmetic; every unit cost is in unit_costs.toml."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pubnub_bridge.sizing.figures import UnitCosts
from pubnub_bridge.sizing.load import Load, Messages, batches
from pubnub_bridge.sizing.product import Product

PLANNED_CPU_SHARE = 0.6
"""Of a core that is planned with, which leaves room for a storm."""
ENTRY_OVERHEAD_SECONDS = 0.3
"""How long an entry stays in a stream after debounce and window: commit, publish, delete."""
MAX_CHANGES_PER_USER = 5
"""Stored for GET /v1/why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """CPU seconds a second."""

    bridge: float
    neo4j: float
    valkey: float

    @property
    def used(self) -> float:
        """In total."""
        return self.bridge + self.neo4j + self.valkey

    @property
    def planned(self) -> float:
        """Cores to provide, none busier than `PLANNED_CPU_SHARE`."""
        return self.used / PLANNED_CPU_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes."""

    valkey_streams: float
    """Pending changes and notifications."""
    valkey_change_history: float
    """Last changes for GET /v1/why."""
    valkey: float
    """In total."""
    bridges: float
    """Debounce state of all bridges together, one process included."""
    page_cache: float
    """What Neo4j's hot queries read: with less, commits wait for the disk."""
    store: float
    """Neo4j's disk."""


def cores(rates: Load, made: Messages, friends: float, costs: UnitCosts) -> Cores:
    """Of each server, with as many bridges as are needed; `friends` is how many a user has, online or not."""
    alone = cores_with(rates, made, friends, costs, bridges=1)
    bridges = math.ceil(alone.bridge / PLANNED_CPU_SHARE)
    return alone if bridges <= 1 else cores_with(rates, made, friends, costs, bridges)


def cores_with(rates: Load, made: Messages, friends: float, costs: UnitCosts, bridges: int) -> Cores:
    """The same with a given number of bridges."""
    bridge, graph, queue = costs.bridge, costs.neo4j, costs.valkey
    deliveries, transitions, commits = (
        rates.deliveries,
        rates.transitions,
        batches(rates.transitions, bridges),
    )
    return Cores(
        bridge=(
            bridges * bridge.second
            + commits * bridge.batch
            + transitions * bridge.transition
            + deliveries * bridge.delivery
            + made.publishes * bridge.publish
        )
        / 1000,
        neo4j=(
            graph.second + commits * graph.batch + transitions * (graph.transition + friends * graph.friend)
        )
        / 1000,
        valkey=(
            queue.second
            + commits * queue.batch
            + transitions * queue.transition
            + deliveries * queue.delivery
        )
        / 1000,
    )


def memory(product: Product, rates: Load, costs: UnitCosts) -> Memory:
    """Of each server, with the product's window."""
    each = costs.bytes
    pending = product.window + ENTRY_OVERHEAD_SECONDS
    streams = rates.transitions * (
        (product.debounce + ENTRY_OVERHEAD_SECONDS) * each.seen
        + pending * notification_bytes(product, rates, costs)
    )
    changed = min(product.users, rates.transitions * product.why_hours * 3600)
    history = changed * each.why
    return Memory(
        valkey_streams=streams,
        valkey_change_history=history,
        valkey=each.valkey + streams + history,
        bridges=each.bridge + product.online * each.hold_user,
        page_cache=rates.friendships * each.friendship_cached + product.users * each.person,
        store=store_bytes(product.users, rates.friendships, costs),
    )


def notification_bytes(product: Product, rates: Load, costs: UnitCosts) -> float:
    """Of one change in the inbox streams: its event once for each partition with recipients, and each recipient's id."""
    recipients = product.friends_online
    partitions: float = product.partitions * (1 - (1 - 1 / product.partitions) ** recipients)
    text = partitions * (rates.sizes.event * 1.25 + 2 * product.id_bytes) + recipients * (
        product.id_bytes + 3
    )
    return text * costs.bytes.inbox


def store_bytes(users: int, friendships: int, costs: UnitCosts) -> float:
    """Neo4j's disk after an import."""
    each = costs.bytes
    return each.store + friendships * each.friendship + users * each.person
