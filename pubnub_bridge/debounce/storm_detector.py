"""Storm detector: notices when so many users leave or join at once that they describe a network and not users.

Pure; times are PubNub milliseconds. Transitions in; storms of shards, partitions, or everything out. Invariants:

- what counts is the balance of leaves and joins within the detection span: users that come and go, however fast, are
  no storm, and a flap is no transition at all;
- a storm begins when the balance reaches a threshold, a share of the users online; it ends once both the balance and
  the leaves that are still pending are below half of that threshold, so that it does not flicker;
- the threshold is fixed when the storm begins, since the users online become fewer during it;
- it decides how long to wait, never about states, so a storm detected wrongly cannot make a view wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from graph_service.model.sharding import ShardMap

STORM_MIN_SHARE = 0.1
"""The share of those online, of a shard, a partition or all, that must leave or come for a storm."""
STORM_DETECTION_SECONDS = 10.0
"""Seconds over which leaves and joins are counted."""
STORM_BATCH_WINDOW_SECONDS = 3.0
"""Seconds that a pending batch waits for more notifications in a storm, at least."""
BUCKETS = 10
"""Parts of the span that are counted separately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormThresholds:
    """When there is a storm, and what is done in one."""

    enabled: bool = True
    min_share: float = STORM_MIN_SHARE
    """Of the users online, how many must move within the span."""
    min_users: int = 100
    """How many must move at least, so that a few users are no storm."""
    span_milliseconds: int = int(STORM_DETECTION_SECONDS * 1000)
    debounce_milliseconds: int = 30_000
    """How long a leave is debounced at most, in a storm."""
    batch_window_seconds: float = STORM_BATCH_WINDOW_SECONDS
    """The least batch window, in a storm."""


@dataclass(frozen=True, slots=True)
class StateTransition:
    """A state that began to differ from the settled one, or was undone by a flap."""

    shard: int
    left: bool
    at: int
    """When it began, also where it was undone."""
    undone: bool = False


Extent = Literal["whole", "partition", "shard"]
Where = tuple[bool, Extent, int]
"""Whether users leave; how far the storm goes; the number of the partition or shard, else 0."""
WHOLE_LEAVES: Where = (True, "whole", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """One storm as it began."""

    where: Where
    moved: int
    online: int
    """Of how many; of a shard, its share of the partition."""
    span_milliseconds: int
    threshold: float

    def __str__(self) -> str:
        """As an operator or a client reads it."""
        left, extent, number = self.where
        place = "" if extent == "whole" else f" on {extent} {number}"
        what = "left" if left else "came"
        span = f"{self.span_milliseconds / 1000:g} s"
        return f"a storm: {self.moved:,} of {self.online:,} {what} within {span}{place}"


@dataclass(slots=True)
class StormChanges:
    """The storms that one update began and ended."""

    began: list[Storm] = field(default_factory=list)
    ended: list[Storm] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.began or self.ended)


class StormDetector:
    """The storms among the users of all partitions that one process owns."""

    def __init__(self, *, thresholds: StormThresholds, shards: ShardMap) -> None:
        self._thresholds = thresholds
        self._shards = shards
        self._bucket_milliseconds = max(1, thresholds.span_milliseconds // BUCKETS)
        self._recent: dict[int, Counter[tuple[bool, int]]] = {}
        self.active: dict[Where, Storm] = {}

    def observe(self, transitions: Iterable[StateTransition]) -> None:
        """Count what began to differ, and no longer what was undone."""
        for one in transitions:
            bucket = self._recent.setdefault(one.at // self._bucket_milliseconds, Counter())
            bucket[one.left, one.shard] += -1 if one.undone else 1

    def update(self, now: int, online: Mapping[int, int], pending_leaves: Mapping[int, int]) -> StormChanges:
        """Begin and end storms; `online` by owned partition, `pending_leaves` by shard."""
        changes = StormChanges()
        if not self._thresholds.enabled:
            return changes
        moved = self._balance(now, online)
        leaves = {(True, shard): n for shard, n in pending_leaves.items()} if self.active else {}
        pending = self._spread(leaves)
        for where in [where for where in self.active if not self._lasts(where, moved, pending, online)]:
            changes.ended.append(self.active.pop(where))
        # The widest first: it covers the narrower ones.
        for where in sorted(moved, key=lambda one: _NARROWNESS[one[1]]):
            storm = self._begun(where, moved[where], online)
            if storm is not None:
                self.active[where] = storm
                changes.began.append(storm)
        return changes

    def extended_shards(self, partition: int) -> frozenset[int]:
        """The shards of a partition whose leaves are debounced longer now."""
        shards = self._shards.shards_of(partition)
        return frozenset(shard for shard in shards if self._covered((True, "shard", shard)))

    @property
    def batch_window_seconds(self) -> float:
        """The least batch window now."""
        return self._thresholds.batch_window_seconds if self.active else 0.0

    @property
    def degraded(self) -> str | None:
        """Why presence cannot be trusted now: a good part of those shown online may be gone."""
        storm = self.active.get(WHOLE_LEAVES)
        return None if storm is None else str(storm)

    def _balance(self, now: int, online: Mapping[int, int]) -> Counter[Where]:
        """Leaves less joins of each place, and the reverse, within the span."""
        first = (now - self._thresholds.span_milliseconds) // self._bucket_milliseconds
        self._recent = {at: counts for at, counts in self._recent.items() if at > first}
        total: Counter[tuple[bool, int]] = Counter()
        for counts in self._recent.values():
            total.update(counts)
        owned = {key: n for key, n in total.items() if key[1] % self._shards.partitions in online}
        spread = self._spread(owned)
        return Counter({where: n - spread[not where[0], where[1], where[2]] for where, n in spread.items()})

    def _spread(self, counts: Mapping[tuple[bool, int], int]) -> Counter[Where]:
        """The same counts for shards, partitions and the whole."""
        spread: Counter[Where] = Counter()
        for (left, shard), number in counts.items():
            for where in self._enclosing((left, "shard", shard)):
                spread[where] += number
        return spread

    def _enclosing(self, where: Where) -> tuple[Where, ...]:
        """A place and all that it is part of."""
        left, extent, number = where
        whole: Where = (left, "whole", 0)
        if extent == "shard":
            return where, (left, "partition", number % self._shards.partitions), whole
        return (where, whole) if extent == "partition" else (whole,)

    def _covered(self, where: Where) -> bool:
        return any(one in self.active for one in self._enclosing(where))

    def _begun(self, where: Where, moved: int, online: Mapping[int, int]) -> Storm | None:
        population = self._population(where, online)
        threshold = max(self._thresholds.min_users, self._thresholds.min_share * population)
        if moved < threshold or self._covered(where):
            return None
        return Storm(
            where=where,
            moved=moved,
            online=max(population, moved),
            span_milliseconds=self._thresholds.span_milliseconds,
            threshold=threshold,
        )

    def _lasts(
        self,
        where: Where,
        moved: Mapping[Where, int],
        pending: Mapping[Where, int],
        online: Mapping[int, int],
    ) -> bool:
        owned = where[1] == "whole" or self._partition(where) in online
        return owned and max(moved.get(where, 0), pending.get(where, 0)) >= self.active[where].threshold / 2

    def _population(self, where: Where, online: Mapping[int, int]) -> int:
        """Who is online there; a partition's users are spread evenly over its shards."""
        if where[1] == "whole":
            return sum(online.values())
        users = online[self._partition(where)]
        return users if where[1] == "partition" else users * self._shards.partitions // self._shards.shards

    def _partition(self, where: Where) -> int:
        return where[2] if where[1] == "partition" else where[2] % self._shards.partitions


_NARROWNESS: Mapping[Extent, int] = {"whole": 0, "partition": 1, "shard": 2}
