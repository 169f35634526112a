"""Cores and memory for a load, from measured unit costs. Pure arithmetic; every unit cost is in unit_costs.toml."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pubnub_bridge.sizing.figures import UnitCosts
from pubnub_bridge.sizing.load import Load, Messages, batches
from pubnub_bridge.sizing.product import Product

PLANNED_CPU_SHARE = 0.6
"""The share of a core that is planned with, so that a storm has room."""
LINGERS = 0.3
"""Seconds that an entry stands in a stream beyond hold and window: settling, publishing, deleting."""
MAX_CHANGES_PER_USER = 5
"""Changes of a user that are kept for GET /v1/why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """CPU seconds a second."""

    bridge: float
    neo4j: float
    valkey: float

    @property
    def used(self) -> float:
        """All of them."""
        return self.bridge + self.neo4j + self.valkey

    @property
    def planned(self) -> float:
        """With no core busier than it should be."""
        return self.used / PLANNED_CPU_SHARE


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    valkey_streams: float
    """News and changes that are on their way."""
    valkey_why: float
    """Last changes for GET /v1/why."""
    valkey: float
    """All of it."""
    bridges: float
    """Holds of all bridges together, one process included."""
    page_cache: float
    """What Neo4j's hot queries read: with less, settling waits for the disk."""
    store: float
    """Neo4j's disk."""


def cores(rates: Load, made: Messages, friends: float, costs: UnitCosts) -> Cores:
    """Of each engine, with as many bridges as it takes; `friends` is how many a user has, online or not."""
    alone = cores_with(rates, made, friends, costs, bridges=1)
    bridges = math.ceil(alone.bridge / PLANNED_CPU_SHARE)
    return alone if bridges <= 1 else cores_with(rates, made, friends, costs, bridges)


def cores_with(rates: Load, made: Messages, friends: float, costs: UnitCosts, bridges: int) -> Cores:
    """The same with so many bridges."""
    bridge, graph, queue = costs.bridge, costs.neo4j, costs.valkey
    told, moved, begun = rates.deliveries, rates.transitions, batches(rates.transitions, bridges)
    return Cores(
        bridge=(
            bridges * bridge.second
            + begun * bridge.batch
            + moved * bridge.transition
            + told * bridge.delivery
            + made.publishes * bridge.publish
        )
        / 1000,
        neo4j=(graph.second + begun * graph.batch + moved * (graph.transition + friends * graph.friend))
        / 1000,
        valkey=(queue.second + begun * queue.batch + moved * queue.transition + told * queue.delivery) / 1000,
    )


def memory(product: Product, rates: Load, costs: UnitCosts) -> Memory:
    """Of each engine, with the product's window."""
    each = costs.bytes
    waiting = product.window + LINGERS
    streams = rates.transitions * (
        (product.hold + LINGERS) * each.seen + waiting * notification_bytes(product, rates, costs)
    )
    changed = min(product.people, rates.transitions * product.why_hours * 3600)
    why = changed * each.why
    return Memory(
        valkey_streams=streams,
        valkey_why=why,
        valkey=each.valkey + streams + why,
        bridges=each.bridge + product.online * each.hold_user,
        page_cache=rates.friendships * each.friendship_cached + product.people * each.person,
        store=store_bytes(product.people, rates.friendships, costs),
    )


def notification_bytes(product: Product, rates: Load, costs: UnitCosts) -> float:
    """Of one change in the inbox streams: its event once a partition that has recipients, and each recipient's id."""
    told = product.friends_online
    reached: float = product.partitions * (1 - (1 - 1 / product.partitions) ** told)
    text = reached * (rates.sizes.event * 1.25 + 2 * product.id_bytes) + told * (product.id_bytes + 3)
    return text * costs.bytes.inbox


def store_bytes(people: int, friendships: int, costs: UnitCosts) -> float:
    """Neo4j's disk after an import."""
    each = costs.bytes
    return each.store + friendships * each.friendship + people * each.person
