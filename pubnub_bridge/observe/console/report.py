"""Report: what one bridge writes about itself for the console, one value in Valkey every few seconds.

Rates, ages and top users, from this process's counters and the partitions it owns. The console adds up the reports of
all bridges, so it is right with several; a bridge that dies disappears from it when its value expires.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import Counter, Gauge, Histogram

from graph_service.model.model import PresenceSnapshot
from graph_service.valkey.client import Valkey
from pubnub_bridge import metrics
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.debounce.storm_detector import Storm
from pubnub_bridge.observe.console.top_users import Score, TopUsers
from pubnub_bridge.store import keys
from pubnub_bridge.store.health import Ages

INTERVAL_SECONDS = 2.0
"""Between two reports."""
VALID_SECONDS = 10.0
"""How long a report is valid: as long as a dead bridge's leases."""
MAX_PAST_REPORTS = 6
"""Over which a rate is measured: 10 seconds."""
TOP_COUNT = 10
COUNTERS: Mapping[str, Counter] = {
    "heard": metrics.PRESENCE_EVENTS,
    "unknown": metrics.UNKNOWN,
    "misplaced": metrics.WRONG_SHARD,
    "refused": metrics.REFUSED,
    "pollsFailed": metrics.POLLS_FAILED,
    "flaps": metrics.FLAPS,
    "repeats": metrics.REPEATS,
    "doubts": metrics.CONFLICTS,
    "repairs": metrics.RECONCILED,
    "settled": metrics.FLAG_WRITES,
    "recipients": metrics.NOTIFICATIONS,
    "published": metrics.PUBLISHED,
    "saved": metrics.COALESCED,
    "dead": metrics.DEAD,
}


class OwnedPartitions(Protocol):
    """The part of `partitions.leases.Leases` that is reported."""

    name: str
    leads: bool
    owned: set[int]


class PartitionState(Protocol):
    """The part of `partitions.registry.PartitionRegistry` that is reported."""

    debouncers: dict[int, Debouncer]
    outboxes: dict[int, Any]


class UserActivity:
    """Which users flap most, and which cost most notifications."""

    def __init__(self) -> None:
        self._flaps = TopUsers()
        self._costly = TopUsers()

    def flapped(self, users: Sequence[str]) -> None:
        """These users undid a change that was pending."""
        if users:
            self._flaps.add(((user, 1.0, 0) for user in users), time.monotonic())

    def committed(self, snapshots: Sequence[PresenceSnapshot]) -> None:
        """These users were committed: each costs a notification for every friend who is online."""
        costs = ((one.user, float(len(one.online_friends)), one.total_friends) for one in snapshots)
        self._costly.add(costs, time.monotonic())

    def rows(self, now: float) -> dict[str, list[list[object]]]:
        """The top of both, for the report; `now` by the monotonic clock."""
        return {
            "flaps": _rows(self._flaps.top(TOP_COUNT, now)),
            "costly": _rows(self._costly.top(TOP_COUNT, now)),
        }


class Report:
    """This bridge's report."""

    def __init__(
        self,
        *,
        valkey: Valkey,
        leases: OwnedPartitions,
        registry: PartitionState,
        activity: UserActivity,
        ages: Callable[[], Mapping[int, Ages]],
        storms: Callable[[], Iterable[Storm]],
    ) -> None:
        self._valkey = valkey
        self._leases = leases
        self._registry = registry
        self._activity = activity
        self._ages = ages
        self._storms = storms
        self._past: deque[tuple[float, dict[str, float]]] = deque(maxlen=MAX_PAST_REPORTS)
        self._began = time.time()

    async def write(self) -> None:
        """Write the report."""
        row = json.dumps(self.row(time.monotonic()), separators=(",", ":")).encode()
        await self._valkey.put(keys.report(self._leases.name), row, VALID_SECONDS)

    def row(self, now: float) -> dict[str, Any]:
        """The report as it is written; `now` by the monotonic clock."""
        counts = counted()
        self._past.append((now, counts))
        return {
            "name": self._leases.name,
            "at": time.time(),
            "began": self._began,
            "leads": self._leases.leads,
            "counts": counts,
            "rates": rates(self._past),
            "delay": grown(self._past, "delay."),
            "settle": grown(self._past, "settle."),
            "circuitOpen": _gauge(metrics.CIRCUIT_OPEN) > 0,
            "storms": [str(storm) for storm in self._storms()],
            "accuracy": _gauge(metrics.ACCURACY) if self._leases.leads else None,
            "partitions": self._partitions(),
            **self._activity.rows(now),
        }

    def _partitions(self) -> dict[str, list[float]]:
        """By number: pending changes and batches, ages of the oldest change and notification (s), users online."""
        found = {}
        for number, age in self._ages().items():
            debouncer, outbox = self._registry.debouncers[number], self._registry.outboxes.get(number)
            batches = outbox.batcher.busy if outbox else 0
            found[str(number)] = [
                len(debouncer),
                batches,
                round(age.debounce_lag_seconds, 2),
                round(age.publish_lag_seconds, 2),
                len(debouncer.online),
            ]
        return found


def counted() -> dict[str, float]:
    """The totals of this process by name, and the buckets of its histograms."""
    counts = {name: total(counter) for name, counter in COUNTERS.items()}
    counts["failed"] = counts["published"] - total(
        metrics.PUBLISHED, lambda labels: labels["outcome"] == "sent"
    )
    counts["webhook"] = total(metrics.PRESENCE_EVENTS, lambda labels: labels["source"] == "webhook")
    return counts | _buckets("delay.", metrics.DELAY) | _buckets("settle.", metrics.FLAG_WRITE_SECONDS)


def total(counter: Counter, wanted: Callable[[dict[str, str]], bool] = lambda _: True) -> float:
    """A counter over all its labels, or those wanted."""
    samples = (one for family in counter.collect() for one in family.samples if one.name.endswith("_total"))
    return sum(one.value for one in samples if wanted(one.labels))


def _gauge(gauge: Gauge) -> float:
    return sum(one.value for family in gauge.collect() for one in family.samples)


def _buckets(name: str, histogram: Histogram) -> dict[str, float]:
    """How many were at most so long, by the bucket's upper end."""
    samples = (one for family in histogram.collect() for one in family.samples)
    return {f"{name}{one.labels['le']}": one.value for one in samples if one.name.endswith("_bucket")}


def rates(past: Sequence[tuple[float, Mapping[str, float]]]) -> dict[str, float]:
    """Growth a second of every counter from the first to the last of these; nothing with fewer than two."""
    if len(past) < 2:
        return {}
    (first, before), (last, counts) = past[0], past[-1]
    seconds = max(0.001, last - first)
    return {
        name: round((value - before[name]) / seconds, 3) for name, value in counts.items() if "." not in name
    }


def grown(past: Sequence[tuple[float, Mapping[str, float]]], name: str) -> dict[str, float]:
    """How much each bucket of a histogram grew from the first to the last of these."""
    if len(past) < 2:
        return {}
    (_, before), (_, counts) = past[0], past[-1]
    buckets = (key for key in counts if key.startswith(name))
    return {key.removeprefix(name): counts[key] - before[key] for key in buckets}


def quantile(buckets: Mapping[str, float], share: float) -> float | None:
    """The value below which `share` of a histogram's growth lies, interpolated inside its bucket; None for none."""
    ends = sorted((float(end), count) for end, count in buckets.items())
    if not ends or not ends[-1][1]:
        return None
    wanted, below, start = ends[-1][1] * share, 0.0, 0.0
    for end, count in ends:
        if count >= wanted:
            return (
                start if end == float("inf") else start + (end - start) * (wanted - below) / (count - below)
            )
        below, start = count, end
    return start


def _rows(scores: Iterable[Score]) -> list[list[object]]:
    return [[one.user, round(one.per_minute, 2), one.note] for one in scores]
