"""Received changes: who received which transition, and how late. Pure; transitions and users are numbers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.peers.churn import Churn, Transition

MIN_PRESENT_SECONDS = 1.0
"""A friend must be online so long before a transition to be a recipient; one who joins later reads it in the sync."""
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Freshness:
    """Milliseconds from a transition to its receipt by each recipient. What never arrives counts as infinite."""

    recipients: int
    """Expected deliveries: transitions times recipients."""
    arrived: float
    """The share of them that arrived."""
    p50: float
    p99: float


class Arrivals:
    """Changes as they were received: which transition, by which user, when."""

    def __init__(self, users: int) -> None:
        self._users = users
        self._keys = array("q")
        self._at = array("d")
        self._last: dict[tuple[int, bool], int] = {}

    def begin(self, transition: Transition) -> None:
        """A transition begins now."""
        self._last[transition.user, transition.joins] = transition.number

    def number(self, user: int, joins: bool) -> int | None:
        """The latest transition of that kind, for a protocol that carries no number."""
        return self._last.get((user, joins))

    def delivered(self, number: int, recipient: int, at: float) -> None:
        """A recipient received a transition."""
        self._keys.append(number * self._users + recipient)
        self._at.append(at)

    def deliveries(self, begin: float, end: float) -> int:
        """Deliveries in that time: one for each pair of change and recipient, without repeats."""
        at = np.array(self._at)
        keys = np.array(self._keys)[(at >= begin) & (at < end)]
        return len(np.unique(keys))

    def freshness(self, transitions: Sequence[Transition], recipients: Iterable[Iterable[int]]) -> Freshness:
        """Freshness of these transitions, each with its recipients."""
        wanted = [
            (transition.number * self._users + one, transition.at)
            for transition, users in zip(transitions, recipients, strict=True)
            for one in users
        ]
        if not wanted:
            return Freshness(0, 0.0, NEVER, NEVER)
        keys, due = np.array([key for key, _ in wanted]), np.array([at for _, at in wanted])
        late = self._first(keys) - due
        p50, p99 = np.percentile(late, (50, 99), method="higher") * 1000
        arrived = float(np.isfinite(late).mean())
        return Freshness(len(keys), arrived, float(p50), float(p99))

    def _first(self, keys: np.ndarray) -> np.ndarray:
        """When each key was first received, `NEVER` where it was not."""
        if not self._keys:
            return np.full(len(keys), NEVER)
        delivered, first = np.unique(np.array(self._keys), return_index=True)
        at = np.minimum(np.searchsorted(delivered, keys), len(delivered) - 1)
        return np.where(delivered[at] == keys, np.array(self._at)[first[at]], NEVER)


def recipients(
    churn: Churn, friends: Sequence[set[int]], transition: Transition, timeout_seconds: float
) -> list[int]:
    """The friends who are online from before the transition until `timeout_seconds` after it."""
    begin, end = transition.at - MIN_PRESENT_SECONDS, transition.at + timeout_seconds
    return [one for one in friends[transition.user] if churn.was_online(one, begin, end)]
