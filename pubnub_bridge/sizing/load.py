"""How much happens a second: transitions, deliveries, publishes, bytes. Pure arithmetic on a product.

News for one inbox come independently of each other (a friend's visit begins and ends when it likes), and are told
batch by batch. So letters form a renewal process: the first batch with news for an inbox opens a letter, which goes out
after the window, and never sooner after the last letter than the distance that `coalesce.Pace` keeps. The shape of
messages is `wire`'s own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.model import encoding
from pubnub_bridge.sizing.product import Product

STAMP = 1_764_000_000_000
"""A moment in milliseconds: all of this century have as many digits."""
MIN_INTERVAL_SECONDS = BatchWindow().min_interval_seconds
BATCH_INTERVAL_SECONDS = 0.12
"""Seconds from one batch of settling to the next where changes never stop: `settle.DISTANCE` and `settle.LINGER`."""
SYNCS = 2
"""Of an arrival: one at once, one when it settled."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a message's body."""

    event: int
    """friend.online or friend.offline, the mean of both."""
    batch: int
    """What friend.batch puts around its events."""
    sync: int
    """friends.sync of a mean user, all its parts together."""


@dataclass(frozen=True, slots=True)
class Messages:
    """What the coalescing makes of the news for all inboxes, with one window."""

    window: float
    publishes: float
    """A second."""
    news: float
    """In one publish, on average."""
    saved: float
    """The share of news that needed no publish of their own."""
    size: float
    """Bytes of a mean publish."""


@dataclass(frozen=True, slots=True)
class Load:
    """Rates a second, unless it is said otherwise."""

    transitions: float
    """Comings and goings that settle."""
    arrivals: float
    deliveries: float
    """One friend told of one change."""
    news_an_inbox: float
    syncs: float
    friendships: int
    """In the graph, in all."""
    sizes: Sizes


def load(product: Product) -> Load:
    """What this product's people make happen."""
    transitions = 2 * product.online / product.session
    deliveries = transitions * product.friends_online
    return Load(
        transitions=transitions,
        arrivals=transitions / 2,
        deliveries=deliveries,
        news_an_inbox=deliveries / product.online,
        syncs=SYNCS * transitions / 2,
        friendships=product.people * product.friends // 2,
        sizes=sizes(product),
    )


def messages(
    rates: Load, window: float, distance: float = MIN_INTERVAL_SECONDS, beat: float | None = None
) -> Messages:
    """What is published when news wait `window` seconds; `distance` is kept between two letters to one inbox.

    `beat` is the seconds between two batches of settling, by default those of one bridge at these rates.
    """
    a_second = rates.news_an_inbox
    if not a_second:
        return Messages(window, 0.0, 0.0, 0.0, 0.0)
    told_every = 1 / batches(rates.transitions) if beat is None else beat
    news = a_second * cycle(a_second, window, distance, told_every)
    size = rates.sizes.event * news + (rates.sizes.batch if news > 1 else 0) * min(1.0, news - 1)
    return Messages(window, rates.deliveries / news, news, 1 - 1 / news, size)


def batches(transitions: float, bridges: int = 1) -> float:
    """How many a second settle so many changes: one for each while few come, and ever fewer for each the more there are."""
    each = transitions / bridges
    return bridges * each / (1 + each * BATCH_INTERVAL_SECONDS)


def cycle(rate: float, window: float, distance: float, beat: float = 0.0) -> float:
    """Mean seconds from one letter to the next, where news come `rate` times a second and are told every `beat` seconds.

    A beat brings news with the chance 1 - exp(-rate * beat); the next one that does comes after `gap` on average. A
    letter goes out at the later of its window's end and the distance; beats within the window bring nothing new, which
    is half a beat less of waiting for the next. Without a beat, news come one by one.
    """
    gap = beat / -math.expm1(-rate * beat) if beat else 1 / rate
    early = max(0.0, distance - window)
    if early <= beat:
        return max(0.0, window - beat / 2) + gap
    return window + early + math.exp(-rate * early) * gap


def sizes(product: Product) -> Sizes:
    """Measured on messages that are really made."""
    user, name = "u" * product.id_bytes, "n" * product.name_bytes
    online = encoding.online(user, name, STAMP, STAMP * 1000)
    offline = encoding.offline(user, STAMP, STAMP, STAMP * 1000)
    pair = encoding.batches(user, [(STAMP * 1000, online), (STAMP * 1000, offline)])[0]
    friends = [user] * round(product.friends_online)
    sync = sum(map(len, encoding.sync(user, friends, product.friends, STAMP * 1000)))
    return Sizes((len(online) + len(offline)) // 2, len(pair) - len(online) - len(offline), sync)
