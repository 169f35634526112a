"""Load shedding: an adaptive concurrency limit with a bounded wait queue and a budget for bytes of request bodies.

Pure: takes `now`, does no I/O. A request takes a slot while it is processed. One that finds no free slot waits in a
short queue, so a burst is served a moment later; one that finds the queue full is rejected at once, which costs next
to nothing. Whatever is accepted is therefore served in time, and nothing waits without bound.

The limit is additive increase, multiplicative decrease (AIMD): while requests take longer than the target latency it
shrinks by a third each time, and the queue with it; every fast request brings a little back. So one bound fits a
database that is slow today as well as one that is fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MIN_SLOTS = 8
"""Slots that are always left: enough to notice that requests are fast again."""
DECREASE = 2 / 3
INCREASE = 0.1
"""Slots that each fast request brings back: from the fewest to a hundred in a thousand responses."""
MIN_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS = 1, 3
"""When a rejected client may retry, spread so that rejected clients do not all return at the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterBounds:
    """What a limiter is built for; it never exceeds these."""

    max_slots: int
    """Requests in progress at once."""
    max_body_bytes: int
    """Bytes of request bodies in memory at once."""
    target_latency_seconds: float
    """What a request should take at most, and wait for its slot at most."""
    max_queued: int = 0
    """Requests that wait for a slot, while the limit is at its maximum."""


@dataclass(slots=True)
class Limiter:
    """One concurrency limit: what is in use, and how much there is at present."""

    bounds: LimiterBounds
    in_use: int = 0
    """Slots."""
    queued: int = 0
    """Requests that wait for a slot."""
    body_bytes: int = 0
    """Reserved for bodies."""
    _limit: float = field(init=False)
    _min_limit: float = field(init=False)
    _decreased_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._limit = float(self.bounds.max_slots)
        self._min_limit = float(min(MIN_SLOTS, self.bounds.max_slots))

    @property
    def slots(self) -> int:
        """Requests that may be in progress at once now."""
        return int(self._limit)

    def acquire(self) -> bool:
        """Take a slot; False where none is free."""
        if self.in_use >= self.slots:
            return False
        self.in_use += 1
        return True

    def release(self) -> None:
        """Give the slot back. Says nothing of how long the request took: see `record`."""
        self.in_use -= 1

    def enqueue(self) -> bool:
        """Join the wait queue; False where it is full."""
        # The queue shrinks with the limit: a full one would take longer than the target latency to drain.
        if self.queued >= self.bounds.max_queued * self._limit / self.bounds.max_slots:
            return False
        self.queued += 1
        return True

    def dequeue(self) -> None:
        """Leave the wait queue, with or without a slot."""
        self.queued -= 1

    def record(self, seconds: float, now: float) -> None:
        """Adapt the limit to a request that finished `now`, after `seconds` in its slot."""
        if seconds <= self.bounds.target_latency_seconds:
            self._limit = min(float(self.bounds.max_slots), self._limit + INCREASE)
        elif now - self._decreased_at >= self.bounds.target_latency_seconds:
            # Once in a target latency: a burst of slow requests is one sign of a slow database, not a hundred.
            self._limit = max(self._min_limit, self._limit * DECREASE)
            self._decreased_at = now

    def reserve_body(self, size: int) -> bool:
        """Reserve bytes for a body; False where there are not enough. One body always fits while no other is there."""
        if self.body_bytes and self.body_bytes + size > self.bounds.max_body_bytes:
            return False
        self.body_bytes += size
        return True

    def free_body(self, size: int) -> None:
        """Give the bytes of a body back."""
        self.body_bytes -= size
