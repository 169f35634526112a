"""Generate users and a realistic friend graph. Pure: the same seed gives the same graph; no files, no database.

The method is that of LDBC's data generator: users are placed in two orders (say, by residence and by interest) and
befriend others at a geometric distance in each; the rest is random. That gives local clustering at linear cost.
Numbers of friends are log-normal within exact bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graph_service.errors import BadInput
from local_stack.data import degrees, person_names

Ints = npt.NDArray[np.int64]

ORDERS = 2
"""Number of orders in which users are placed."""
CLOSE_SHARE = 0.85
"""Share of the friends that come from closeness; the rest is random."""
NEIGHBOUR_CHANCE = 0.5
"""Chance of a friendship between direct neighbours."""
MAX_MEAN_DISTANCES = 4.0
"""Neighbours further away than this many mean distances are not tried."""
MAX_CHANCE = 0.95


class BadNumbers(BadInput):
    """{field}: {reason}"""

    code = "bad_population"


@dataclass(frozen=True, slots=True)
class Population:
    """Users and their friendships."""

    ids: list[str]
    """Of equal length and in ascending order, so that the order of indices is the order of ids."""
    names: list[str]
    pairs: Ints
    """Shape (friendships, 2): indices of users, the smaller first, no pair twice, sorted."""
    low: int
    high: int
    """The actual bounds of the numbers of friends: lower than requested where there are few users."""


def generate(users: int, low: int, high: int, seed: int) -> Population:
    """Users with `low` to `high` friends each; fewer where there are not enough users.

    Raises:
        BadNumbers: no such graph exists, or the numbers are negative or in the wrong order.
    """
    if users < 1 or users > 50_000_000:
        raise BadNumbers(field="people", reason=f"{users} is not between 1 and 50,000,000")
    low, high = degrees.possible(users, low, high)
    seeds = np.random.SeedSequence(seed).spawn(2)
    keys = friendships(users, low, high, np.random.default_rng(seeds[0]))
    names = person_names.draw(users, np.random.default_rng(seeds[1]))
    return Population(ids(users), names, np.stack(np.divmod(keys, users), axis=1), low, high)


def ids(users: int) -> list[str]:
    """Meaningless ids, all of the same length."""
    width = id_digits(users)
    return [f"u{number:0{width}d}" for number in range(users)]


def id_digits(users: int) -> int:
    """The number of digits after the ``u`` of an id."""
    return max(7, len(str(users - 1)))


def friendships(users: int, low: int, high: int, rng: np.random.Generator) -> Ints:
    """Sorted keys ``a * users + b`` with a < b, one a friendship; every degree is within the bounds.

    A graph in which most users are friends is generated as the complement of a sparse one.
    """
    if users < 2 or high == 0:
        return np.empty(0, np.int64)
    if low + high > users - 1:
        return _complement(friendships(users, users - 1 - high, users - 1 - low, rng), users)
    wanted = degrees.wanted(users, low, high, rng)
    close = [_close(rng.permutation(users), wanted, rng) for _ in range(ORDERS)]
    keys = _distinct(np.concatenate(close))
    del close
    keys = degrees.trim(keys, wanted, rng)
    keys = degrees.fill(keys, wanted, rng)
    return degrees.repair(keys, users, (low, high), rng)


def _close(order: Ints, wanted: Ints, rng: np.random.Generator) -> Ints:
    """Friendships between users who are near each other in `order`, which is a circle."""
    users, mean = len(order), float(wanted.mean())
    ahead = CLOSE_SHARE * mean / 2 / ORDERS
    distances = np.arange(
        1, min(int(MAX_MEAN_DISTANCES * ahead / NEIGHBOUR_CHANCE) + 1, (users - 1) // 2) + 1
    )
    if not len(distances):
        return np.empty(0, np.int64)
    chances = np.exp(-distances * NEIGHBOUR_CHANCE / ahead)
    chances *= ahead / chances.sum()
    weights = (wanted[order] / mean).astype(np.float32)
    ring = np.concatenate([order, order[: len(distances)]])
    heavy = np.concatenate([weights, weights[: len(distances)]])
    found = []
    for distance, chance in zip(distances.tolist(), chances.tolist(), strict=True):
        likely = np.minimum(chance * weights * heavy[distance : distance + users], MAX_CHANCE)
        hits = np.flatnonzero(rng.random(users, np.float32) < likely)
        found.append(degrees.keys_of(order[hits], ring[hits + distance], users))
    return np.concatenate(found)


def _distinct(keys: Ints) -> Ints:
    keys.sort()
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def _complement(keys: Ints, users: int) -> Ints:
    first, second = np.triu_indices(users, 1)
    return np.setdiff1d(first.astype(np.int64) * users + second, keys, assume_unique=True)


def clustering(pairs: Ints, users: int, seed: int = 0, samples: int = 300) -> float:
    """Local clustering: the chance that two friends of one user are friends, over a sample of users."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(users, min(samples, users), replace=False)
    is_chosen = np.zeros(users, bool)
    is_chosen[chosen] = True
    near = pairs[is_chosen[pairs[:, 0]] | is_chosen[pairs[:, 1]]]
    keys = pairs[:, 0] * users + pairs[:, 1]
    shares = [
        _closed(np.concatenate([near[near[:, 0] == user, 1], near[near[:, 1] == user, 0]]), keys, users, rng)
        for user in chosen.tolist()
    ]
    return float(np.mean([share for share in shares if share is not None] or [0.0]))


def _closed(friends: Ints, keys: Ints, users: int, rng: np.random.Generator) -> float | None:
    if len(friends) < 2:
        return None
    first, second = (rng.choice(friends, 1000) for _ in range(2))
    other = first != second
    return float(degrees.contains(keys, degrees.keys_of(first[other], second[other], users)).mean())
