"""How much happens a second: transitions, deliveries, publishes, bytes. Pure arithmetic on a product.

Events for one inbox arrive independently of each other (friends come and go independently) and are enqueued commit by
commit. So messages form a renewal process: the first commit with an event for an inbox opens a message, which is sent
after the window, and never sooner after the last message than `batcher.BatchWindow` allows. Messages have the shape of
`model.encoding`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.model import encoding
from pubnub_bridge.sizing.product import Product

SAMPLE_TIME_MILLISECONDS = 1_764_000_000_000
"""A moment since the epoch: all of this century have as many digits."""
MIN_INTERVAL_SECONDS = BatchWindow().min_interval_seconds
BATCH_INTERVAL_SECONDS = 0.12
"""From one commit to the next under constant load: the committer's minimum interval and linger."""
SYNCS_PER_ARRIVAL = 2
"""One at once, one on commit."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a message's body."""

    event: int
    """friend.online or friend.offline, the mean of both."""
    batch: int
    """The overhead of friend.batch around its events."""
    sync: int
    """friends.sync of a mean user, all its parts together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The published messages of all inboxes, with one batch window."""

    window: float
    publishes: float
    """A second."""
    events: float
    """Of one publish, on average."""
    saved: float
    """The share of events that needed no separate publish."""
    size: float
    """Bytes of a mean publish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Rates a second, unless a member says otherwise."""

    transitions: float
    """Committed changes: users who come online or go offline."""
    arrivals: float
    deliveries: float
    """One friend notified of one change."""
    events_per_inbox: float
    syncs: float
    friendships: int
    """In the graph, in total."""
    sizes: Sizes


def load(product: Product) -> Load:
    """The rates that this product's users cause."""
    transitions = 2 * product.online / product.session
    deliveries = transitions * product.friends_online
    return Load(
        transitions=transitions,
        arrivals=transitions / 2,
        deliveries=deliveries,
        events_per_inbox=deliveries / product.online,
        syncs=SYNCS_PER_ARRIVAL * transitions / 2,
        friendships=product.users * product.friends // 2,
        sizes=sizes(product),
    )


def messages(
    rates: Load, window: float, min_interval: float = MIN_INTERVAL_SECONDS, tick: float | None = None
) -> Messages:
    """What is published with a batch window of `window` seconds and `min_interval` between two messages to one inbox.

    `tick` is the seconds between two commits, by default those of one bridge at these rates.
    """
    rate = rates.events_per_inbox
    if not rate:
        return Messages(window=window, publishes=0.0, events=0.0, saved=0.0, size=0.0)
    interval = 1 / batches(rates.transitions) if tick is None else tick
    events = rate * cycle(rate, window, min_interval, interval)
    size = rates.sizes.event * events + (rates.sizes.batch if events > 1 else 0) * min(1.0, events - 1)
    return Messages(
        window=window, publishes=rates.deliveries / events, events=events, saved=1 - 1 / events, size=size
    )


def batches(transitions: float, bridges: int = 1) -> float:
    """Commits a second for so many changes: one for each change at low rates, and ever fewer for each at higher ones."""
    each = transitions / bridges
    return bridges * each / (1 + each * BATCH_INTERVAL_SECONDS)


def cycle(rate: float, window: float, min_interval: float, tick: float = 0.0) -> float:
    """Mean seconds from one message to the next, with `rate` events a second that are enqueued every `tick` seconds.

    A tick has events with the probability 1 - exp(-rate * tick); the next one that has comes after `gap` on average. A
    message is sent at the later of its window's end and the minimum interval; ticks within the window open no new
    message, which is half a tick less of waiting for the next. Without a tick, events arrive one by one.
    """
    gap = tick / -math.expm1(-rate * tick) if tick else 1 / rate
    early = max(0.0, min_interval - window)
    if early <= tick:
        return max(0.0, window - tick / 2) + gap
    return window + early + math.exp(-rate * early) * gap


def sizes(product: Product) -> Sizes:
    """Measured on messages of the real encoder."""
    user, name = "u" * product.id_bytes, "n" * product.name_bytes
    online = encoding.online(user, name, SAMPLE_TIME_MILLISECONDS, SAMPLE_TIME_MILLISECONDS * 1000)
    offline = encoding.offline(
        user, SAMPLE_TIME_MILLISECONDS, SAMPLE_TIME_MILLISECONDS, SAMPLE_TIME_MILLISECONDS * 1000
    )
    pair = encoding.batches(
        user, [(SAMPLE_TIME_MILLISECONDS * 1000, online), (SAMPLE_TIME_MILLISECONDS * 1000, offline)]
    )[0]
    friends = [user] * round(product.friends_online)
    sync = sum(map(len, encoding.sync(user, friends, product.friends, SAMPLE_TIME_MILLISECONDS * 1000)))
    return Sizes((len(online) + len(offline)) // 2, len(pair) - len(online) - len(offline), sync)
