"""Degrees of a generated graph: draw one for each user, and trim, fill and repair a graph until it has them.

Pure numpy. A friendship between a < b is the key ``a * users + b``; graphs are sorted arrays of keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from graph_service.errors import BadInput

Ints = npt.NDArray[np.int64]
Indices = Ints | npt.NDArray[np.int32]

MAX_PAIRING_ROUNDS = 12
"""Each round of random pairing leaves less than half of what the one before left."""
MAX_TRIES_PER_REPAIR = 20_000
"""Random friendships examined before a repair fails; in a graph that is not nearly full a few suffice."""


class Impossible(BadInput):
    """friends: {reason}"""

    code = "bad_numbers"


def possible(users: int, low: int, high: int) -> tuple[int, int]:
    """The bounds, lowered to what that many users can have.

    Raises:
        Impossible: negative or in the wrong order, or an odd number of users with the same odd number of friends each.
    """
    if not 0 <= low <= high:
        raise Impossible(reason=f"{low}-{high} is not a range from a smaller number to a larger one")
    high = min(high, users - 1)
    low = min(low, high)
    if low == high and users * low % 2:
        raise Impossible(reason=f"{users} people cannot have {low} friends each; one of the two must be even")
    return low, high


def wanted(users: int, low: int, high: int, rng: np.random.Generator) -> Ints:
    """A log-normal number of friends for each user, with the bounds two standard deviations from the middle.

    The mean is about the middle of narrow bounds (750 for 500-1000); of wide ones it is the logarithmic mean, since
    most users have few friends.
    """
    if low == high:
        return np.full(users, low, np.int64)
    least = max(low, 1)
    ratio = high / least
    middle = (least + high) / 2 if ratio <= 4 else (high - least) / np.log(ratio)
    spread = np.log(ratio) / 4
    drawn = rng.lognormal(np.log(middle), spread, users)
    outside = (drawn < low) | (drawn > high)
    drawn[outside] = rng.uniform(low, high, int(outside.sum()))
    return np.rint(drawn).astype(np.int64).clip(low, high)


def keys_of(one: Indices, other: Indices, users: int) -> Ints:
    """The keys of the friendships between two arrays of users."""
    return np.minimum(one, other).astype(np.int64) * users + np.maximum(one, other)


def contains(keys: Ints, asked: Ints) -> npt.NDArray[np.bool_]:
    """Which of `asked` are among the sorted `keys`."""
    if not len(keys):
        return np.zeros(len(asked), bool)
    places = np.searchsorted(keys, asked)
    return np.equal(keys[np.minimum(places, len(keys) - 1)], asked, dtype=bool)


def counted(keys: Ints, users: int) -> Ints:
    """The number of friends of each user."""
    one, other = np.divmod(keys, users)
    return np.bincount(one, minlength=users) + np.bincount(other, minlength=users)


def trim(keys: Ints, most: Ints, rng: np.random.Generator) -> Ints:
    """Drop random friendships of users who have more than `most`."""
    users = len(most)
    over = counted(keys, users) > most
    one, other = (end.astype(np.int32) for end in np.divmod(keys, users))
    affected = rng.permutation(np.flatnonzero(over[one] | over[other]))
    ends = np.stack([one[affected], other[affected]], axis=1).ravel()
    del one, other
    beyond = (over[ends] & (_rank(ends) >= most[ends])).reshape(-1, 2).any(axis=1)
    is_kept = np.ones(len(keys), bool)
    is_kept[affected[beyond]] = False
    return keys[is_kept]


def _rank(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """How many equal elements precede each element. Four bytes each, since half a billion are processed."""
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
    """Add random friendships until nearly every user has `most`; none gets more."""
    users = len(most)
    for _ in range(MAX_PAIRING_ROUNDS):
        open_ends = np.repeat(np.arange(users), most - counted(keys, users))
        rng.shuffle(open_ends)
        half = len(open_ends) // 2
        one, other = open_ends[:half], open_ends[half : 2 * half]
        new = np.unique(keys_of(one, other, users)[one != other])
        new = new[~contains(keys, new)]
        # Two sorted runs: a stable sort merges them.
        keys = np.sort(np.concatenate([keys, new]), kind="stable")
        if half < 2:
            break
    return keys


def repair(keys: Ints, users: int, bounds: tuple[int, int], rng: np.random.Generator) -> Ints:
    """Add what users below the lower bound lack; all other degrees (except one, at most) stay as they are."""
    low, high = bounds
    have = counted(keys, users)
    lack = np.maximum(low - have, 0)
    if lack.sum() % 2:
        lack[int(rng.choice(np.flatnonzero(have + lack < high)))] += 1
    if not lack.any():
        return keys
    graph = _Repair(keys=keys, users=users, rng=rng)
    ends = rng.permutation(np.repeat(np.arange(users), lack)).tolist()
    for one, other in zip(ends[::2], ends[1::2], strict=True):
        graph.join(one, other)
    return graph.keys()


class _Repair:
    """A graph in which single friendships can be added and moved."""

    def __init__(self, *, keys: Ints, users: int, rng: np.random.Generator) -> None:
        self._sorted = keys
        self._users = users
        self._rng = rng
        self._added: dict[int, None] = {}
        self._removed: set[int] = set()

    def keys(self) -> Ints:
        remaining = np.setdiff1d(self._sorted, np.fromiter(self._removed, np.int64), assume_unique=True)
        return np.sort(np.concatenate([remaining, np.fromiter(self._added, np.int64, len(self._added))]))

    def join(self, one: int, other: int) -> None:
        """One friend more for each of the two: each other, or the two ends of a friendship that is split."""
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
        """Random friendships, in random direction."""
        for _ in range(MAX_TRIES_PER_REPAIR):
            pool = len(self._sorted) + len(self._added)
            place = int(self._rng.integers(pool))
            late = place - len(self._sorted)
            key = int(self._sorted[place]) if late < 0 else list(self._added)[late]
            x, y = divmod(key, self._users)
            yield (x, y) if self._rng.random() < 0.5 else (y, x)

    def _key(self, one: int, other: int) -> int:
        return min(one, other) * self._users + max(one, other)

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
