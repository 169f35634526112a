"""PubNub's bill by the transaction: what every way of telling friends shares, and what the ways differ in. Pure.

Three ways: *inbox push*, which is this product; *friend channels*, where a user publishes once and friends subscribe;
*signals* to inboxes, at most 64 bytes each and so never batched. Which call is of which class: PubNub docs,
transaction classification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pubnub_bridge.sizing.figures import Prices
from pubnub_bridge.sizing.load import Load, Messages
from pubnub_bridge.sizing.product import Product

DAY = 86_400
MONTH = 30
COUNT_BYTES = 330
"""Of status.count."""
PRESENCE_BYTES = 170
"""Of an interval event without its lists."""
REFRESH_BYTES = 30_000
"""Of an interval event at which PubNub leaves the lists out (PubNub docs: presence events)."""
PAGE = 1000
"""Users of one Here Now answer."""
RECORD_BYTES = 350
"""Of an App Context record."""
SIGNAL_BYTES = 64
MANY = 500
"""Events beside the first from which their number's spread does not matter."""
MEMBERS = 100
"""Of a friends' channel in App Context, at most: `app_context.MOST_MEMBERS`."""
CHANNELS_A_CALL = 100
"""Of one Here Now call for status.count: `count.AT_ONCE`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill, for a day."""

    what: str
    replicated: float = 0.0
    edge: float = 0.0
    signals: float = 0.0

    def dollars(self, prices: Prices) -> float:
        """At these prices."""
        each = prices.transaction
        return self.replicated * each.replicated + self.edge * each.edge + self.signals * each.signal


@dataclass(frozen=True, slots=True)
class Way:
    """One way of telling friends."""

    name: str
    lines: Sequence[Line]
    note: str

    def dollars(self, prices: Prices) -> float:
        """What telling friends takes a day."""
        return sum(line.dollars(prices) for line in self.lines)


def shared(product: Product, rates: Load, prices: Prices) -> list[Line]:
    """What a day takes whatever the way."""
    unit = prices.transaction.unit_bytes
    counts = DAY / product.count_interval
    return [
        Line("status.count to everybody", counts, counts * product.online * _units(COUNT_BYTES, unit)),
        Line("Here Now for status.count", edge=counts * math.ceil(product.shards / CHANNELS_A_CALL)),
        _presence(product, rates, unit),
        _reconcile(product, unit),
        Line("Where Now before a leave is told", edge=DAY * rates.transitions / 2 * product.confirm_leaves),
        _syncs(rates, unit),
        Line("tokens of sessions", replicated=DAY * rates.arrivals * _grants(product)),
        _app_context(product, rates),
    ]


def ways(rates: Load, made: Messages, product: Product, prices: Prices) -> list[Way]:
    """What a day of telling friends takes, three ways."""
    changes, told = DAY * rates.transitions, DAY * rates.deliveries
    fits = signal_bytes(product.id_bytes) <= SIGNAL_BYTES
    return [
        Way("inbox push", [push(rates, made, prices)], "the window saves publishes"),
        Way(
            "friend channels",
            [Line("one publish a change, to its friends", changes, told)],
            f"clients subscribe to {product.friends:,} channels; nothing can be batched, hidden or ordered",
        ),
        Way(
            "signals",
            [Line("one signal a friend and change", signals=told)],
            "never batched"
            + ("" if fits else f"; id and ts need {signal_bytes(product.id_bytes)} bytes of 64"),
        ),
    ]


def push(rates: Load, made: Messages, prices: Prices) -> Line:
    """A day of inbox messages, as batched as the window makes them."""
    units = DAY * made.publishes * message_units(rates, made, prices.transaction.unit_bytes)
    return Line("batched inbox messages", units, units)


def message_units(rates: Load, made: Messages, unit: int) -> float:
    """Transactions of a mean letter: the first event and a Poisson number of others, rounded up to whole units."""
    others = made.news - 1
    if others <= 0:
        return float(_units(rates.sizes.event, unit))
    if others > MANY:
        return made.size / unit + 0.5
    chance, total, most = math.exp(-others), 0.0, int(others + 10 * math.sqrt(others) + 20)
    for more in range(most):
        size = rates.sizes.event * (more + 1) + (rates.sizes.batch if more else 0)
        total += chance * _units(size, unit)
        chance *= others / (more + 1)
    return total


def unknowns(product: Product, rates: Load, prices: Prices) -> dict[str, float]:
    """Dollars a day that come on top if what is not known turns out to be charged, by the names in the price list."""
    beats = DAY * product.online / (product.heartbeat / 2 - 1)
    told = DAY * rates.deliveries
    edge = prices.transaction.edge
    return {"signal_delivery": told * edge, "heartbeat": beats * edge}


def storage_month(product: Product, prices: Prices) -> float:
    """Dollars a month for what App Context keeps."""
    records = {"off": 0, "flags": 1, "full": 2 + min(MEMBERS, product.friends)}[product.app_context]
    return product.people * records * RECORD_BYTES / 1e9 * prices.storage.gigabyte_month


def signal_bytes(id_bytes: int) -> int:
    """Of the shortest signal that tells who, which state and its ts, without which the newest cannot win."""
    return len('{"u":"","t":,"o":1}') + id_bytes + 16


def _units(size: float, unit: int) -> int:
    return max(1, math.ceil(size / unit))


def _presence(product: Product, rates: Load, unit: int) -> Line:
    """Every presence event is published by PubNub and delivered to the one bridge that owns the shard."""
    if product.presence == "announce":
        return Line("presence events, one a change", DAY * rates.transitions, DAY * rates.transitions)
    ids = rates.transitions * product.interval / product.shards
    size = PRESENCE_BYTES + ids * (product.id_bytes + 3)
    events = DAY / product.interval * product.shards
    if size > REFRESH_BYTES:
        pages = events * math.ceil(product.online / product.shards / PAGE)
        return Line(
            "presence events without lists, and Here Now", events, events + _pages(product, pages, unit)
        )
    return Line("presence events, one a shard and interval", *(2 * [events * _units(size, unit)]))


def _reconcile(product: Product, unit: int) -> Line:
    pages = DAY / product.reconcile * product.shards * math.ceil(product.online / product.shards / PAGE)
    return Line("Here Now for reconciling", edge=_pages(product, pages, unit))


def _pages(product: Product, pages: float, unit: int) -> float:
    """Edge transactions of full Here Now pages."""
    occupants = min(PAGE, product.online / product.shards)
    return pages * _units(occupants * (product.id_bytes + 3), unit)


def _syncs(rates: Load, unit: int) -> Line:
    units = DAY * rates.syncs * _units(rates.sizes.sync, unit)
    return Line("friends.sync to who arrives", units, units)


def _grants(product: Product) -> float:
    """Tokens of a session: one, and one more whenever it ends."""
    return max(1.0, product.session / (product.token_minutes * 60))


def _app_context(product: Product, rates: Load) -> Line:
    """Written behind, merged, at a rate of its own; a member list is read before it is written."""
    if product.app_context == "off":
        return Line("App Context (off)")
    touched = rates.transitions
    if product.app_context == "flags":
        return Line("App Context: flags", replicated=DAY * min(touched, product.app_context_per_second))
    touched *= 1 + min(MEMBERS, product.friends_online)
    calls = DAY * min(4 * touched, product.app_context_per_second)
    return Line("App Context: flags and friends' channels", calls * 3 / 4, calls / 4)
