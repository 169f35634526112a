"""Storm controller: asks the storm detector at intervals, and extends the debounce time of leaves while a storm lasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

import structlog

from graph_service.model.sharding import ShardMap
from pubnub_bridge import metrics
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.debounce.storm_detector import (
    StateTransition,
    Storm,
    StormChanges,
    StormDetector,
    StormThresholds,
)
from pubnub_bridge.partitions.registry import PartitionRegistry

CHECK_INTERVAL_MILLISECONDS = 200
_log = structlog.get_logger(__name__)


class StormController:
    """The storms among the partitions of this process, and what they change."""

    def __init__(
        self,
        *,
        registry: PartitionRegistry,
        thresholds: StormThresholds,
        shards: ShardMap,
        now: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._thresholds = thresholds
        self._detector = StormDetector(thresholds=thresholds, shards=shards)
        self._now = now
        self._checked_at = 0

    @property
    def active(self) -> Collection[Storm]:
        """The storms that are on."""
        return self._detector.active.values()

    @property
    def batch_window_seconds(self) -> float:
        """The least batch window now."""
        return self._detector.batch_window_seconds

    @property
    def degraded(self) -> str | None:
        """Why presence cannot be trusted now; None where it can."""
        return self._detector.degraded

    def observe(self, transitions: Iterable[StateTransition]) -> None:
        """Count what the debouncers saw begin or undone."""
        self._detector.observe(transitions)

    def extend(self, partition: int, debouncer: Debouncer) -> None:
        """Apply the storms that are on to one debouncer."""
        debouncer.extend(self._detector.extended_shards(partition), self._thresholds.debounce_milliseconds)

    def check(self) -> None:
        """Begin and end storms; at most every `CHECK_INTERVAL_MILLISECONDS`."""
        now = self._now()
        # Absolute, since PubNub's clock may be set back.
        if abs(now - self._checked_at) < CHECK_INTERVAL_MILLISECONDS:
            return
        self._checked_at = now
        debouncers = self._registry.debouncers
        online = {partition: len(debouncer.online) for partition, debouncer in debouncers.items()}
        leaves: Counter[int] = Counter()
        for debouncer in debouncers.values():
            leaves.update(debouncer.pending_leaves)
        if changes := self._detector.update(now, online, leaves):
            for partition, debouncer in debouncers.items():
                self.extend(partition, debouncer)
            self._report(changes)

    def _report(self, changes: StormChanges) -> None:
        for storm in changes.began:
            metrics.STORMS.labels(storm.where[1]).inc()
            _log.warning("storm.detector.began", reason=str(storm))
        for storm in changes.ended:
            _log.info("storm.detector.ended", reason=str(storm))
        metrics.STORM.set(len(self.active))
