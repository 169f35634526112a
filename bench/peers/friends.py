"""Friendships of the comparison: 500 to 1,000 friends each, four in five of them from the user's own community. Pure.

Algorithm and seed are fixed, because figures measured elsewhere with the same friendships are quoted (Nakama's in
`quoted`). A test checks the result. It is not `local_stack.data.generate`, whose users cluster more.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from local_stack.data.generate import Population, ids

LOW, HIGH = 500, 1000
COMMUNITY = 1500
"""Users of one community, about."""
OWN = 0.8
"""The share of picks from the user's own community."""
ONLINE = 0.3


@dataclass(frozen=True)
class Friends:
    """Friends by index of user, and the users who are online at the start."""

    of: list[set[int]]
    online: list[int]
    seed: int

    @property
    def mean(self) -> float:
        """Mean friends of a user."""
        return sum(map(len, self.of)) / len(self.of)

    @property
    def mean_online(self) -> float:
        """Mean online friends of an online user."""
        online = set(self.online)
        return sum(len(self.of[one] & online) for one in self.online) / len(self.online)

    def population(self) -> Population:
        """The same as a population for the graph's import."""
        pairs = np.array([(a, b) for a, friends in enumerate(self.of) for b in sorted(friends) if a < b])
        names = [f"Person {number}" for number in range(len(self.of))]
        return Population(ids(len(self.of)), names, pairs, LOW, HIGH)


def make(users: int, seed: int = 1) -> Friends:
    """Raises `ValueError` for fewer than 2,000 users, who could not have so many friends each."""
    if users < 2 * HIGH:
        raise ValueError(f"at least {2 * HIGH} users are needed")
    made = _Making(users, random.Random(seed))
    made.pick()
    made.top_up()
    online = sorted(random.Random(7).sample(range(users), int(users * ONLINE)))
    return Friends(made.friends, online, seed)


class _Making:
    """A graph under construction. The order of the random draws must not change."""

    def __init__(self, users: int, chance: random.Random) -> None:
        self.friends: list[set[int]] = [set() for _ in range(users)]
        self._users, self._chance = users, chance
        communities = max(1, round(users / COMMUNITY))
        self._community = [one % communities for one in range(users)]
        self._members = [list(range(number, users, communities)) for number in range(communities)]
        self._wanted = [chance.randint(LOW, HIGH) for _ in range(users)]

    def pick(self) -> None:
        """Every user befriends others up to the wanted number."""
        order = list(range(self._users))
        self._chance.shuffle(order)
        for one in order:
            self._picks(one)

    def _picks(self, one: int) -> None:
        friends, mine, draw = self.friends, self._members[self._community[one]], self._chance.random
        tries, wanted = 0, self._wanted[one]
        while len(friends[one]) < wanted and tries < 40 * HIGH:
            tries += 1
            other = mine[int(draw() * len(mine))] if draw() < OWN else int(draw() * self._users)
            most = self._wanted[other] if tries < 20 * HIGH else HIGH
            if other != one and other not in friends[one] and len(friends[other]) < most:
                self._befriend(one, other)

    def top_up(self) -> None:
        """The few users below the minimum befriend any others."""
        for one in range(self._users):
            tries = 0
            while len(self.friends[one]) < LOW and tries < 100_000:
                tries += 1
                other = int(self._chance.random() * self._users)
                if other != one and other not in self.friends[one] and len(self.friends[other]) < HIGH:
                    self._befriend(one, other)

    def _befriend(self, one: int, other: int) -> None:
        self.friends[one].add(other)
        self.friends[other].add(one)
