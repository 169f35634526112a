"""PubNub's bill by the transaction: what every way of notifying friends shares, and how the ways differ. Pure.

Three ways: *inbox push*, which is this product; *friend channels*, where a user publishes once and friends subscribe;
*signals* to inboxes, at most 64 bytes each and so never batched. The class of each call follows PubNub's transaction
classification (PubNub docs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pubnub_bridge.sizing.figures import Prices
from pubnub_bridge.sizing.load import Load, Messages
from pubnub_bridge.sizing.product import Product

DAY_SECONDS = 86_400
COUNT_BYTES = 330
"""Of status.count."""
PRESENCE_BYTES = 170
"""Of an interval event without its lists."""
MAX_EVENT_BYTES = 30_000
"""Of an interval event at which PubNub leaves the lists out (PubNub docs: presence events)."""
PAGE_USERS = 1000
"""Of one Here Now response."""
RECORD_BYTES = 350
"""Of an App Context record."""
SIGNAL_BYTES = 64
MAX_SUMMED_EVENTS = 500
"""With more events after the first, the spread of their number does not matter."""
MAX_MEMBERS = 100
"""Of a friends' channel in App Context: `app_context.MAX_MEMBERS`."""
CHANNELS_PER_REQUEST = 100
"""Of one Here Now request for status.count: `online_count.MAX_CONCURRENT_CALLS`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill, for a day."""

    what: str
    replicated: float = 0.0
    edge: float = 0.0
    signals: float = 0.0

    def dollars(self, prices: Prices) -> float:
        """US dollars at these prices."""
        each = prices.transaction
        return self.replicated * each.replicated + self.edge * each.edge + self.signals * each.signal


@dataclass(frozen=True, slots=True)
class Way:
    """One way of notifying friends."""

    name: str
    lines: Sequence[Line]
    note: str

    def dollars(self, prices: Prices) -> float:
        """US dollars a day for notifying friends."""
        return sum(line.dollars(prices) for line in self.lines)


def shared(product: Product, rates: Load, prices: Prices) -> list[Line]:
    """The lines of a day that every way has."""
    unit = prices.transaction.unit_bytes
    counts = DAY_SECONDS / product.count_interval
    return [
        Line("status.count to all users", counts, counts * product.online * _units(COUNT_BYTES, unit)),
        Line("Here Now for status.count", edge=counts * math.ceil(product.shards / CHANNELS_PER_REQUEST)),
        _presence(product, rates, unit),
        _reconcile(product, unit),
        Line(
            "Where Now before a leave is notified",
            edge=DAY_SECONDS * rates.transitions / 2 * product.confirm_leaves,
        ),
        _syncs(rates, unit),
        Line("tokens of sessions", replicated=DAY_SECONDS * rates.arrivals * _grants(product)),
        _app_context(product, rates),
    ]


def ways(rates: Load, made: Messages, product: Product, prices: Prices) -> list[Way]:
    """The lines of a day for notifying friends, in three ways."""
    changes, deliveries = DAY_SECONDS * rates.transitions, DAY_SECONDS * rates.deliveries
    fits = signal_bytes(product.id_bytes) <= SIGNAL_BYTES
    return [
        Way("inbox push", [push(rates, made, prices)], "the window saves publishes"),
        Way(
            "friend channels",
            [Line("one publish a change, to its friends", changes, deliveries)],
            f"clients subscribe to {product.friends:,} channels; nothing can be batched, hidden or ordered",
        ),
        Way(
            "signals",
            [Line("one signal a friend and change", signals=deliveries)],
            "never batched"
            + ("" if fits else f"; id and ts need {signal_bytes(product.id_bytes)} bytes of 64"),
        ),
    ]


def push(rates: Load, made: Messages, prices: Prices) -> Line:
    """A day of inbox messages, batched as the window allows."""
    units = DAY_SECONDS * made.publishes * message_units(rates, made, prices.transaction.unit_bytes)
    return Line("batched inbox messages", units, units)


def message_units(rates: Load, made: Messages, unit: int) -> float:
    """Transactions of a mean message: the first event and a Poisson number of others, rounded up to whole units."""
    others = made.events - 1
    if others <= 0:
        return float(_units(rates.sizes.event, unit))
    if others > MAX_SUMMED_EVENTS:
        return made.size / unit + 0.5
    probability, total, max_others = math.exp(-others), 0.0, int(others + 10 * math.sqrt(others) + 20)
    for more in range(max_others):
        size = rates.sizes.event * (more + 1) + (rates.sizes.batch if more else 0)
        total += probability * _units(size, unit)
        probability *= others / (more + 1)
    return total


def unknowns(product: Product, rates: Load, prices: Prices) -> dict[str, float]:
    """Additional US dollars a day if what is not known turns out to be charged, by the names in the price list."""
    heartbeats = DAY_SECONDS * product.online / (product.heartbeat / 2 - 1)
    deliveries = DAY_SECONDS * rates.deliveries
    edge = prices.transaction.edge
    return {"signal_delivery": deliveries * edge, "heartbeat": heartbeats * edge}


def storage_month(product: Product, prices: Prices) -> float:
    """US dollars a month for App Context's storage."""
    records = {"off": 0, "flags": 1, "full": 2 + min(MAX_MEMBERS, product.friends)}[product.app_context]
    return product.users * records * RECORD_BYTES / 1e9 * prices.storage.gigabyte_month


def signal_bytes(id_bytes: int) -> int:
    """Of the shortest signal with the user, the state and its ts, without which the newest cannot win."""
    return len('{"u":"","t":,"o":1}') + id_bytes + 16


def _units(size: float, unit: int) -> int:
    return max(1, math.ceil(size / unit))


def _presence(product: Product, rates: Load, unit: int) -> Line:
    """Every presence event is published by PubNub and delivered to the bridge that owns the shard."""
    if product.presence == "announce":
        return Line(
            "presence events, one a change", DAY_SECONDS * rates.transitions, DAY_SECONDS * rates.transitions
        )
    ids = rates.transitions * product.interval / product.shards
    size = PRESENCE_BYTES + ids * (product.id_bytes + 3)
    events = DAY_SECONDS / product.interval * product.shards
    if size > MAX_EVENT_BYTES:
        pages = events * math.ceil(product.online / product.shards / PAGE_USERS)
        return Line(
            "presence events without lists, and Here Now", events, events + _pages(product, pages, unit)
        )
    return Line("presence events, one a shard and interval", *(2 * [events * _units(size, unit)]))


def _reconcile(product: Product, unit: int) -> Line:
    pages = (
        DAY_SECONDS
        / product.reconcile
        * product.shards
        * math.ceil(product.online / product.shards / PAGE_USERS)
    )
    return Line("Here Now for reconciling", edge=_pages(product, pages, unit))


def _pages(product: Product, pages: float, unit: int) -> float:
    """Edge transactions of full Here Now pages."""
    occupants = min(PAGE_USERS, product.online / product.shards)
    return pages * _units(occupants * (product.id_bytes + 3), unit)


def _syncs(rates: Load, unit: int) -> Line:
    units = DAY_SECONDS * rates.syncs * _units(rates.sizes.sync, unit)
    return Line("friends.sync to arriving users", units, units)


def _grants(product: Product) -> float:
    """Tokens of a session: one, and one more whenever it expires."""
    return max(1.0, product.session / (product.token_minutes * 60))


def _app_context(product: Product, rates: Load) -> Line:
    """Written behind, merged and rate limited; a member list is read before it is written."""
    if product.app_context == "off":
        return Line("App Context (off)")
    touched = rates.transitions
    if product.app_context == "flags":
        return Line(
            "App Context: flags", replicated=DAY_SECONDS * min(touched, product.app_context_per_second)
        )
    touched *= 1 + min(MAX_MEMBERS, product.friends_online)
    calls = DAY_SECONDS * min(4 * touched, product.app_context_per_second)
    return Line("App Context: flags and friends' channels", calls * 3 / 4, calls / 4)
