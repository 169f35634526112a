"""Workload model: LinkBench's mix of operations, mapped to the API of a friend graph. Pure.

The shares are those of LinkBench's ``FBWorkload.properties`` (Armstrong, Ponnekanti, Borthakur and Callaghan:
"LinkBench: a database benchmark based on the Facebook social graph", SIGMOD 2013), measured on Facebook's own graph.
Its writes of nodes (11 %: profiles) are left out, because a product's profiles are not written by its users here;
what is left is scaled to one. Users are chosen by the same paper's power law.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate

READ_SHAPE, WRITE_SHAPE = 0.8, 0.741
"""Exponents of the power laws by which LinkBench chooses users for reads and for writes."""


class Op(StrEnum):
    """One operation of a user; the values are labels in tables."""

    PAGE = "friends page"
    ONLINE = "online friends"
    MUTUAL = "mutual friends"
    SUGGESTIONS = "suggestions"
    ARE_FRIENDS = "are we friends"
    ASK = "request"
    ACCEPT = "accept"
    REMOVE = "remove"
    BLOCK = "block"


LINKBENCH = {
    "getlinklist": 50.7119145,
    "getnode": 12.9326683,
    "addlink": 8.9886601,
    "updatelink": 8.0122125,
    "countlink": 4.8863567,
    "deletelink": 2.9907664,
    "getlink": 0.5261142,
}
"""Percent of all operations; the rest of 100 are its writes of nodes."""
OURS: Mapping[str, Mapping[Op, float]] = {
    "getlinklist": {Op.PAGE: 0.60, Op.ONLINE: 0.36, Op.SUGGESTIONS: 0.04},
    "getnode": {Op.ARE_FRIENDS: 1.0},
    "getlink": {Op.ARE_FRIENDS: 1.0},
    "countlink": {Op.MUTUAL: 1.0},
    "addlink": {Op.ASK: 1.0},
    "updatelink": {Op.ACCEPT: 1.0},
    "deletelink": {Op.REMOVE: 0.9, Op.BLOCK: 0.1},
}
"""Our operations for each of LinkBench's. The division of its lists and of removals into blocks is our choice."""


def mix() -> dict[Op, float]:
    """The share of each operation; they sum to one."""
    shares = dict.fromkeys(Op, 0.0)
    whole = sum(LINKBENCH.values())
    for theirs, parts in OURS.items():
        for op, part in parts.items():
            shares[op] += LINKBENCH[theirs] / whole * part
    return shares


def operations(chance: random.Random, shares: Mapping[Op, float]) -> Iterator[Op]:
    """An endless stream of operations, drawn by their shares."""
    ops, sums = list(shares), list(accumulate(shares.values()))
    while True:
        yield ops[bisect(sums, chance.random() * sums[-1], hi=len(ops) - 1)]


def rank(draw: float, number: int, shape: float) -> int:
    """The place in an order of popularity, from 0, that `draw` in [0, 1) hits, by a power law of exponent `shape` < 1."""
    power = 1.0 - shape
    return min(number - 1, int((draw * ((number + 1) ** power - 1) + 1) ** (1 / power)) - 1)


class Popular:
    """Users in a random order of popularity, independent of how many friends they have."""

    def __init__(self, ids: Sequence[str], chance: random.Random) -> None:
        self._chance = chance
        self._ids = list(ids)
        chance.shuffle(self._ids)

    def one(self, shape: float = READ_SHAPE) -> str:
        """A random user, by popularity."""
        return self._ids[rank(self._chance.random(), len(self._ids), shape)]
