"""Tapes: what happens in which order. Random ones by seed, and a shrinker that keeps what is needed for a fault.

Each seed draws which actions are common, rare or absent on its tape (swarm testing): a fault that needs three
particular actions is found sooner where the thirty others are quiet.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Tape = list[tuple[str, int]]

ALWAYS = ("work", "toggle", "deliver", "a hold", "settle", "read seen", "poll", "read inbox", "send")
SOMETIMES = (
    "a moment", "half a hold", "befriend", "crash", "second owner", "deliver late", "deliver twice", "relay",
    "delete seen", "delete inbox", "repeat", "swap", "lose", "reconcile", "send badly", "window", "look up",
    "hide", "block", "future", "coarse clock", "clock back", "replica", "late append",
)  # fmt: skip
IN_STORMS = ("everybody goes", "everybody comes", "syncs admitted")
ACTIONS = ALWAYS + SOMETIMES + ("storm mode", *IN_STORMS)


def tape(seed: int, longest: int = 160) -> Tape:
    """A random tape: every other seed draws from nearly everything, the rest from little, with two owners at first."""
    chance = random.Random(seed)
    narrow = seed % 2 == 1
    few = chance.sample(SOMETIMES, chance.randint(1, 3) if narrow else chance.randint(2, 8))
    actions = [*ALWAYS, *few]
    weights = [chance.choice((1, 3, 10)) for _ in actions]
    if narrow:
        weights[actions.index("toggle")] = weights[actions.index("work")] = 1
        weights[actions.index("settle")] = 10
    people = chance.choice((60, 60, 6))
    length = chance.randint(10, longest)
    steps = [(action, chance.randrange(people)) for action in chance.choices(actions, weights, k=length)]
    return [("second owner", 0), *steps] if narrow and chance.random() < 0.5 else steps


def stormy(seed: int, longest: int = 160) -> Tape:
    """The same tape with storm mode on, and a few times everybody goes or comes."""
    chance = random.Random(-1 - seed)
    steps = [("storm mode", 0), *tape(seed, longest)]
    for _ in range(chance.randint(2, 12)):
        steps.insert(chance.randint(1, len(steps)), (chance.choice(IN_STORMS), chance.randrange(60)))
    return steps


def shrunk(found: Tape, fails: Callable[[Tape], bool]) -> Tape:
    """A shorter tape that still fails, by leaving out runs of steps."""
    length = len(found) // 2
    while length:
        start = 0
        while start < len(found):
            shorter = found[:start] + found[start + length :]
            if fails(shorter):
                found = shorter
            else:
                start += length
        length //= 2
    return found
