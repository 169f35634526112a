"""Storms: so many leaves or joins at once that they say more of a network than of people. Pure.

Knows what moved within the last seconds, shard by shard, and says which shards, partitions, or all together are in a
storm. Knows no hold, no stream and no graph. Times are milliseconds by PubNub's clock.

- what counts is the balance: who left less who came, within the span. However fast people come and go, that is no
  storm, and who is back before friends were told has not moved at all;
- a storm begins when the balance reaches the mark, a share of who is online, and ends by itself once both the balance
  and what is still held are below half of that mark: the gap keeps it from flickering;
- the mark is set when the storm begins, since the people online become fewer meanwhile;
- it decides about waiting only, never about states, so no storm, however wrongly told, can make a view wrong.
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
"""Parts of the span that are counted apart."""


@dataclass(frozen=True, slots=True)
class StormThresholds:
    """When there is a storm, and what is done in one."""

    on: bool = True
    share: float = 0.1
    """Of those online, how many must move within the span."""
    least: int = 100
    """How many must move at least, so that a few people are no storm."""
    span: int = 10_000
    """Milliseconds."""
    hold: int = 30_000
    """Milliseconds that a leave waits at most, in a storm."""
    window: float = 3.0
    """Seconds that news waits for company at least, in a storm."""


@dataclass(frozen=True, slots=True)
class StateTransition:
    """A state that began to differ from the settled one, or was undone."""

    shard: int
    left: bool
    at: int
    """When it began, where it was undone as well."""
    undone: bool = False


Extent = Literal["whole", "partition", "shard"]
Where = tuple[bool, Extent, int]
"""Whether people leave; how far it goes; the number of the partition or shard, else 0."""
WHOLE_LEAVES: Where = (True, "whole", 0)


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm as it began."""

    where: Where
    moved: int
    online: int
    """Of how many; of a shard, its share of the partition."""
    span: int
    mark: float

    def __str__(self) -> str:
        """What an operator or a client is told."""
        left, extent, number = self.where
        place = "" if extent == "whole" else f" on {extent} {number}"
        what = "left" if left else "came"
        return f"a storm: {self.moved:,} of {self.online:,} {what} within {self.span / 1000:g} s{place}"


@dataclass(slots=True)
class StormChanges:
    """What one look changed."""

    began: list[Storm] = field(default_factory=list)
    ended: list[Storm] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything did."""
        return bool(self.began or self.ended)


class StormDetector:
    """The storms among the users of all partitions that one process owns."""

    def __init__(self, marks: StormThresholds, shards: ShardMap) -> None:
        self.marks = marks
        self.on: dict[Where, Storm] = {}
        self._shards = shards
        self._width = max(1, marks.span // BUCKETS)
        self._recent: dict[int, Counter[tuple[bool, int]]] = {}

    def saw(self, moved: Iterable[StateTransition]) -> None:
        """Count what began to differ, and no longer what was undone."""
        for one in moved:
            bucket = self._recent.setdefault(one.at // self._width, Counter())
            bucket[one.left, one.shard] += -1 if one.undone else 1

    def judge(self, now: int, online: Mapping[int, int], away: Mapping[int, int]) -> StormChanges:
        """Which storms begin and end; `online` by owned partition, `away` the leaves still held by shard."""
        turned = StormChanges()
        if not self.marks.on:
            return turned
        moved = self._moved(now, online)
        held = self._spread({(True, shard): n for shard, n in away.items()}) if self.on else Counter()
        for where in [where for where in self.on if not self._lasts(where, moved, held, online)]:
            turned.ended.append(self.on.pop(where))
        for where in sorted(moved, key=lambda one: _NARROWNESS[one[1]]):
            storm = self._begun(where, moved[where], online)
            if storm is not None:
                self.on[where] = storm
                turned.began.append(storm)
        return turned

    def patient(self, partition: int) -> frozenset[int]:
        """The shards of a partition whose leaves wait longer now."""
        shards = self._shards.shards_of(partition)
        return frozenset(shard for shard in shards if self._covered((True, "shard", shard)))

    @property
    def window(self) -> float:
        """Seconds that news waits for company at least."""
        return self.marks.window if self.on else 0.0

    @property
    def doubt(self) -> str | None:
        """Why presence cannot be trusted now: a good part of those shown online may be gone."""
        storm = self.on.get(WHOLE_LEAVES)
        return None if storm is None else str(storm)

    def _moved(self, now: int, online: Mapping[int, int]) -> Counter[Where]:
        """The balance of each place: of leaves and of joins, whichever are more."""
        first = (now - self.marks.span) // self._width
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
            for where in self._around((left, "shard", shard)):
                spread[where] += number
        return spread

    def _around(self, where: Where) -> tuple[Where, ...]:
        """A place and all that it is part of."""
        left, extent, number = where
        whole: Where = (left, "whole", 0)
        if extent == "shard":
            return where, (left, "partition", number % self._shards.partitions), whole
        return (where, whole) if extent == "partition" else (whole,)

    def _covered(self, where: Where) -> bool:
        return any(one in self.on for one in self._around(where))

    def _begun(self, where: Where, moved: int, online: Mapping[int, int]) -> Storm | None:
        population = self._population(where, online)
        mark = max(self.marks.least, self.marks.share * population)
        if moved < mark or self._covered(where):
            return None
        return Storm(where, moved, max(population, moved), self.marks.span, mark)

    def _lasts(
        self, where: Where, moved: Mapping[Where, int], held: Mapping[Where, int], online: Mapping[int, int]
    ) -> bool:
        owned = where[1] == "whole" or self._partition(where) in online
        return owned and max(moved.get(where, 0), held.get(where, 0)) >= self.on[where].mark / 2

    def _population(self, where: Where, online: Mapping[int, int]) -> int:
        """Who is online there; a partition's people are spread evenly over its shards."""
        if where[1] == "whole":
            return sum(online.values())
        people = online[self._partition(where)]
        return people if where[1] == "partition" else people * self._shards.partitions // self._shards.shards

    def _partition(self, where: Where) -> int:
        return where[2] if where[1] == "partition" else where[2] % self._shards.partitions


_NARROWNESS: Mapping[Extent, int] = {"whole": 0, "partition": 1, "shard": 2}
