"""Populations with given numbers of friends: one group for each number, all befriended with a common crowd. Pure."""

from __future__ import annotations

import numpy as np

from local_stack.data.generate import Population, id_digits

CROWD = 10_000
GROUPS = {100: 500, 500: 500, 1000: 500, 5000: 100}
"""Number of users by number of friends."""


def population(seed: int) -> tuple[Population, dict[int, list[str]]]:
    """The population, crowd first, and the ids of each group by its number of friends."""
    draw, users = np.random.default_rng(seed), CROWD + sum(GROUPS.values())
    digits = id_digits(users)
    ids = [f"u{at:0{digits}d}" for at in range(users)]
    parts, groups, first = [], {}, CROWD
    for degree, size in GROUPS.items():
        for one in range(first, first + size):
            crowd = np.sort(draw.choice(CROWD, degree, replace=False))
            parts.append(np.stack([crowd, np.full(degree, one)], axis=1))
        groups[degree] = ids[first : first + size]
        first += size
    pairs = np.concatenate(parts)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return Population(ids, [f"Person {at}" for at in range(users)], pairs, 0, max(GROUPS)), groups
