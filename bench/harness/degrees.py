"""People whose numbers of friends are chosen: a group for each, all friends with a common crowd. Pure."""

from __future__ import annotations

import numpy as np

from local_stack.data.generate import Population, id_digits

CROWD = 10_000
GROUPS = {100: 500, 500: 500, 1000: 500, 5000: 100}
"""How many people there are of each number of friends."""


def population(seed: int) -> tuple[Population, dict[int, list[str]]]:
    """The crowd first, then the groups; who is in which group by the number of friends."""
    draw, people = np.random.default_rng(seed), CROWD + sum(GROUPS.values())
    digits = id_digits(people)
    ids = [f"u{at:0{digits}d}" for at in range(people)]
    parts, groups, first = [], {}, CROWD
    for degree, size in GROUPS.items():
        for one in range(first, first + size):
            crowd = np.sort(draw.choice(CROWD, degree, replace=False))
            parts.append(np.stack([crowd, np.full(degree, one)], axis=1))
        groups[degree] = ids[first : first + size]
        first += size
    pairs = np.concatenate(parts)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return Population(ids, [f"Person {at}" for at in range(people)], pairs, 0, max(GROUPS)), groups
