"""Numbers of friends: how many each person wants, and the changes that make a graph keep to them. Pure numpy.

A friendship between a < b is the key ``a * people + b``; graphs are sorted arrays of keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from graph_service.errors import BadInput

Ints = npt.NDArray[np.int64]
Indices = Ints | npt.NDArray[np.int32]

MAX_PAIRING_ROUNDS = 12
"""Rounds of random pairing; each leaves less than half of what the one before left."""
MAX_TRIES_PER_REPAIR = 20_000
"""Random friendships looked at before one repair is given up; in a graph that is not nearly full a few suffice."""


class Impossible(BadInput):
    """friends: {reason}"""

    code = "bad_numbers"


def possible(people: int, low: int, high: int) -> tuple[int, int]:
    """The bounds, lowered to what so few people can have.

    Raises:
        Impossible: negative or in the wrong order, or an odd number of people with one odd number of friends each.
    """
    if not 0 <= low <= high:
        raise Impossible(reason=f"{low}-{high} is not a range from a smaller number to a larger one")
    high = min(high, people - 1)
    low = min(low, high)
    if low == high and people * low % 2:
        raise Impossible(
            reason=f"{people} people cannot have {low} friends each; one of the two must be even"
        )
    return low, high


def wanted(people: int, low: int, high: int, rng: np.random.Generator) -> Ints:
    """A log-normal number of friends for each person, the bounds two deviations away from the middle.

    The mean is about the middle of narrow bounds (750 for 500-1000); of wide ones it is the logarithmic mean, since
    most people have few friends.
    """
    if low == high:
        return np.full(people, low, np.int64)
    least = max(low, 1)
    ratio = high / least
    middle = (least + high) / 2 if ratio <= 4 else (high - least) / np.log(ratio)
    spread = np.log(ratio) / 4
    drawn = rng.lognormal(np.log(middle), spread, people)
    outside = (drawn < low) | (drawn > high)
    drawn[outside] = rng.uniform(low, high, int(outside.sum()))
    return np.rint(drawn).astype(np.int64).clip(low, high)


def keys_of(one: Indices, other: Indices, people: int) -> Ints:
    """The keys of friendships between two lists of people."""
    return np.minimum(one, other).astype(np.int64) * people + np.maximum(one, other)


def contains(keys: Ints, asked: Ints) -> npt.NDArray[np.bool_]:
    """Which of `asked` are among the sorted `keys`."""
    if not len(keys):
        return np.zeros(len(asked), bool)
    places = np.searchsorted(keys, asked)
    return np.equal(keys[np.minimum(places, len(keys) - 1)], asked, dtype=bool)


def counted(keys: Ints, people: int) -> Ints:
    """How many friends each person has."""
    one, other = np.divmod(keys, people)
    return np.bincount(one, minlength=people) + np.bincount(other, minlength=people)


def trim(keys: Ints, most: Ints, rng: np.random.Generator) -> Ints:
    """Drops random friendships of those who have more than `most`."""
    people = len(most)
    over = counted(keys, people) > most
    one, other = (end.astype(np.int32) for end in np.divmod(keys, people))
    affected = rng.permutation(np.flatnonzero(over[one] | over[other]))
    ends = np.stack([one[affected], other[affected]], axis=1).ravel()
    del one, other
    beyond = (over[ends] & (_rank(ends) >= most[ends])).reshape(-1, 2).any(axis=1)
    kept = np.ones(len(keys), bool)
    kept[affected[beyond]] = False
    return keys[kept]


def _rank(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The how-manieth of its value each element is, from 0. Four bytes each: half a billion of them are looked at."""
    if not len(values):
        return values
    order = np.argsort(values, kind="stable")
    run = values[order]
    starts = np.flatnonzero(np.concatenate([[True], run[1:] != run[:-1]])).astype(np.int32)
    del run
    places = np.arange(len(values), dtype=np.int32)
    places -= np.repeat(starts, np.diff(np.append(starts, len(values))))
    rank = np.empty(len(values), np.int32)
    rank[order] = places
    return rank


def fill(keys: Ints, most: Ints, rng: np.random.Generator) -> Ints:
    """Adds random friendships until nearly everybody has `most`; nobody gets more."""
    people = len(most)
    for _ in range(MAX_PAIRING_ROUNDS):
        open_ends = np.repeat(np.arange(people), most - counted(keys, people))
        rng.shuffle(open_ends)
        half = len(open_ends) // 2
        one, other = open_ends[:half], open_ends[half : 2 * half]
        new = np.unique(keys_of(one, other, people)[one != other])
        new = new[~contains(keys, new)]
        # Two sorted runs: a stable sort merges them.
        keys = np.sort(np.concatenate([keys, new]), kind="stable")
        if half < 2:
            break
    return keys


def repair(keys: Ints, people: int, bounds: tuple[int, int], rng: np.random.Generator) -> Ints:
    """Gives those below the lower bound what they lack, and leaves all other degrees (but one, at most) as they are."""
    low, high = bounds
    have = counted(keys, people)
    lack = np.maximum(low - have, 0)
    if lack.sum() % 2:
        lack[int(rng.choice(np.flatnonzero(have + lack < high)))] += 1
    if not lack.any():
        return keys
    graph = _Repair(keys, people, rng)
    ends = rng.permutation(np.repeat(np.arange(people), lack)).tolist()
    for one, other in zip(ends[::2], ends[1::2], strict=True):
        graph.join(one, other)
    return graph.keys()


class _Repair:
    """A graph in which single friendships are added and moved."""

    def __init__(self, keys: Ints, people: int, rng: np.random.Generator) -> None:
        self._sorted = keys
        self._people = people
        self._rng = rng
        self._added: dict[int, None] = {}
        self._removed: set[int] = set()

    def keys(self) -> Ints:
        """The sorted keys of the repaired graph."""
        kept = np.setdiff1d(self._sorted, np.fromiter(self._removed, np.int64), assume_unique=True)
        return np.sort(np.concatenate([kept, np.fromiter(self._added, np.int64, len(self._added))]))

    def join(self, one: int, other: int) -> None:
        """One friend more for each of the two: each other, or both ends of a friendship that is taken apart."""
        if one != other and not self._has(one, other):
            self._add(one, other)
            return
        for x, y in self._some():
            apart = len({one, x}) == 2 and len({other, y}) == 2 and (one, x) != (y, other)
            if apart and not self._has(one, x) and not self._has(other, y) and self._has(x, y):
                self._remove(x, y)
                self._add(one, x)
                self._add(other, y)
                return
        raise Impossible(reason="no graph with these bounds was found; leave more room between them")

    def _some(self) -> Iterator[tuple[int, int]]:
        """Random friendships, either end first."""
        for _ in range(MAX_TRIES_PER_REPAIR):
            pool = len(self._sorted) + len(self._added)
            place = int(self._rng.integers(pool))
            late = place - len(self._sorted)
            key = int(self._sorted[place]) if late < 0 else list(self._added)[late]
            x, y = divmod(key, self._people)
            yield (x, y) if self._rng.random() < 0.5 else (y, x)

    def _key(self, one: int, other: int) -> int:
        return min(one, other) * self._people + max(one, other)

    def _has(self, one: int, other: int) -> bool:
        key = self._key(one, other)
        if key in self._added:
            return True
        return key not in self._removed and bool(contains(self._sorted, np.array([key]))[0])

    def _add(self, one: int, other: int) -> None:
        key = self._key(one, other)
        if key in self._removed:
            self._removed.discard(key)
        else:
            self._added[key] = None

    def _remove(self, one: int, other: int) -> None:
        key = self._key(one, other)
        if key in self._added:
            del self._added[key]
        else:
            self._removed.add(key)
