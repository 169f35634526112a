"""Who is friends with whom: 500 to 1,000 friends each, four in five of them from one's own community. Pure.

The algorithm and the seed are fixed, since figures measured elsewhere on the same friends stand beside ours: Nakama's
in `quoted`. Tests hold the result. It is not `local_stack.data.generate`, whose people cluster more.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from local_stack.data.generate import Population, ids

LOW, HIGH = 500, 1000
COMMUNITY = 1500
"""People of one community, about."""
OWN = 0.8
"""Of all picks, those from the own community."""
ONLINE = 0.3


@dataclass(frozen=True)
class Friends:
    """Friends by index of person, and who is online at the start."""

    of: list[set[int]]
    online: list[int]
    seed: int

    @property
    def mean(self) -> float:
        """Friends of one person."""
        return sum(map(len, self.of)) / len(self.of)

    @property
    def mean_online(self) -> float:
        """Of those who are online, how many friends are online too."""
        online = set(self.online)
        return sum(len(self.of[one] & online) for one in self.online) / len(self.online)

    def population(self) -> Population:
        """The same for the graph's own import."""
        pairs = np.array([(a, b) for a, friends in enumerate(self.of) for b in sorted(friends) if a < b])
        names = [f"Person {number}" for number in range(len(self.of))]
        return Population(ids(len(self.of)), names, pairs, LOW, HIGH)


def make(people: int, seed: int = 1) -> Friends:
    """At least 2,000 people: fewer could not have so many friends each."""
    if people < 2 * HIGH:
        raise ValueError(f"at least {2 * HIGH} people are needed")
    made = _Making(people, random.Random(seed))
    made.pick()
    made.top_up()
    online = sorted(random.Random(7).sample(range(people), int(people * ONLINE)))
    return Friends(made.friends, online, seed)


class _Making:
    """One graph while it is made. The order of the draws is part of the recipe."""

    def __init__(self, people: int, chance: random.Random) -> None:
        self.friends: list[set[int]] = [set() for _ in range(people)]
        self._people, self._chance = people, chance
        communities = max(1, round(people / COMMUNITY))
        self._community = [one % communities for one in range(people)]
        self._members = [list(range(number, people, communities)) for number in range(communities)]
        self._wanted = [chance.randint(LOW, HIGH) for _ in range(people)]

    def pick(self) -> None:
        """Everybody befriends others up to the number that they want."""
        order = list(range(self._people))
        self._chance.shuffle(order)
        for one in order:
            self._picks(one)

    def _picks(self, one: int) -> None:
        friends, mine, draw = self.friends, self._members[self._community[one]], self._chance.random
        tries, wanted = 0, self._wanted[one]
        while len(friends[one]) < wanted and tries < 40 * HIGH:
            tries += 1
            other = mine[int(draw() * len(mine))] if draw() < OWN else int(draw() * self._people)
            most = self._wanted[other] if tries < 20 * HIGH else HIGH
            if other != one and other not in friends[one] and len(friends[other]) < most:
                self._befriend(one, other)

    def top_up(self) -> None:
        """The few who found too few below their number take whom they get."""
        for one in range(self._people):
            tries = 0
            while len(self.friends[one]) < LOW and tries < 100_000:
                tries += 1
                other = int(self._chance.random() * self._people)
                if other != one and other not in self.friends[one] and len(self.friends[other]) < HIGH:
                    self._befriend(one, other)

    def _befriend(self, one: int, other: int) -> None:
        self.friends[one].add(other)
        self.friends[other].add(one)
