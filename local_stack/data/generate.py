"""Makes up people and who is friends with whom. Pure: the same seed gives the same graph; knows no files, no database.

The recipe is that of LDBC's data generator: people stand in two orders (say, where they live and what they like) and
befriend others at a geometric distance in each; the rest is random. That gives local clustering and keeps the cost
linear. Numbers of friends are log-normal within bounds that hold exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graph_service.errors import BadInput
from local_stack.data import degrees, person_names

Ints = npt.NDArray[np.int64]

ORDERS = 2
"""How many ways people are close to each other."""
CLOSE_SHARE = 0.85
"""The share of friends that come from being close; the rest is random."""
NEIGHBOUR_CHANCE = 0.5
"""The chance of a friendship between next neighbours."""
MAX_MEAN_DISTANCES = 4.0
"""Neighbours further than this many mean distances are not tried."""
MAX_CHANCE = 0.95


class BadNumbers(BadInput):
    """{field}: {reason}"""

    code = "bad_population"


@dataclass(frozen=True, slots=True)
class Population:
    """People and their friendships."""

    ids: list[str]
    """Of equal length and in ascending order, so that the order of indices is the order of ids."""
    names: list[str]
    pairs: Ints
    """Shape (friendships, 2): indices of people, the smaller first, no pair twice, sorted."""
    low: int
    high: int
    """The bounds of the numbers of friends that were kept: lower than asked for where people are few."""


def generate(people: int, low: int, high: int, seed: int) -> Population:
    """People with `low` to `high` friends each; fewer where there are not enough people.

    Raises:
        BadNumbers: no such graph exists, or the numbers are negative or in the wrong order.
    """
    if people < 1 or people > 50_000_000:
        raise BadNumbers(field="people", reason=f"{people} is not between 1 and 50,000,000")
    low, high = degrees.possible(people, low, high)
    seeds = np.random.SeedSequence(seed).spawn(2)
    keys = friendships(people, low, high, np.random.default_rng(seeds[0]))
    names = person_names.draw(people, np.random.default_rng(seeds[1]))
    return Population(ids(people), names, np.stack(np.divmod(keys, people), axis=1), low, high)


def ids(people: int) -> list[str]:
    """Ids that say nothing about a person, all of the same length."""
    width = id_digits(people)
    return [f"u{number:0{width}d}" for number in range(people)]


def id_digits(people: int) -> int:
    """How many digits follow the ``u`` of an id."""
    return max(7, len(str(people - 1)))


def friendships(people: int, low: int, high: int, rng: np.random.Generator) -> Ints:
    """Sorted keys ``a * people + b`` with a < b, one a friendship; every degree is within the bounds.

    A graph in which most people are friends is made as the complement of a sparse one.
    """
    if people < 2 or high == 0:
        return np.empty(0, np.int64)
    if low + high > people - 1:
        return _complement(friendships(people, people - 1 - high, people - 1 - low, rng), people)
    wanted = degrees.wanted(people, low, high, rng)
    close = [_close(rng.permutation(people), wanted, rng) for _ in range(ORDERS)]
    keys = _distinct(np.concatenate(close))
    del close
    keys = degrees.trim(keys, wanted, rng)
    keys = degrees.fill(keys, wanted, rng)
    return degrees.repair(keys, people, (low, high), rng)


def _close(order: Ints, wanted: Ints, rng: np.random.Generator) -> Ints:
    """Friendships between people who stand near each other in `order`, which is a circle."""
    people, mean = len(order), float(wanted.mean())
    ahead = CLOSE_SHARE * mean / 2 / ORDERS
    distances = np.arange(
        1, min(int(MAX_MEAN_DISTANCES * ahead / NEIGHBOUR_CHANCE) + 1, (people - 1) // 2) + 1
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
        likely = np.minimum(chance * weights * heavy[distance : distance + people], MAX_CHANCE)
        hits = np.flatnonzero(rng.random(people, np.float32) < likely)
        found.append(degrees.keys_of(order[hits], ring[hits + distance], people))
    return np.concatenate(found)


def _distinct(keys: Ints) -> Ints:
    keys.sort()
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def _complement(keys: Ints, people: int) -> Ints:
    first, second = np.triu_indices(people, 1)
    return np.setdiff1d(first.astype(np.int64) * people + second, keys, assume_unique=True)


def clustering(pairs: Ints, people: int, seed: int = 0, samples: int = 300) -> float:
    """The chance that two friends of one person are friends, over a sample of people (local clustering)."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(people, min(samples, people), replace=False)
    is_chosen = np.zeros(people, bool)
    is_chosen[chosen] = True
    near = pairs[is_chosen[pairs[:, 0]] | is_chosen[pairs[:, 1]]]
    keys = pairs[:, 0] * people + pairs[:, 1]
    shares = [
        _closed(
            np.concatenate([near[near[:, 0] == person, 1], near[near[:, 1] == person, 0]]), keys, people, rng
        )
        for person in chosen.tolist()
    ]
    return float(np.mean([share for share in shares if share is not None] or [0.0]))


def _closed(friends: Ints, keys: Ints, people: int, rng: np.random.Generator) -> float | None:
    if len(friends) < 2:
        return None
    first, second = (rng.choice(friends, 1000) for _ in range(2))
    other = first != second
    return float(degrees.contains(keys, degrees.keys_of(first[other], second[other], people)).mean())
