"""Tapes: what happens in which order. Random ones by seed, and a shrinker that keeps what is needed for a fault.

Each seed draws which actions are common, rare or absent on its tape (swarm testing): a fault that needs three
particular actions is found sooner where the forty others are quiet.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.gates import KINDS, MODES

Tape = list[tuple[str, int]]

ALWAYS = ("toggle", "deliver", "a moment", "a while", "a debounce", "release")
SOMETIMES = (
    "half a debounce", "a lease", "befriend", "block", "hide", "toggle by webhook", "one of two leaves",
    "deliver late", "deliver twice", "repeat", "swap", "lose", "future", "soon", "old here now", "skip",
    "publishes fail", "coarse clock", "clock back", "replica", "crash", "second owner", "start", "stop", "freeze",
    "reconcile", "release one", "delay friends calls", "release api", "no counts",
    "publish refused", "back end fails",
)  # fmt: skip
IN_STORMS = ("everybody goes", "everybody comes", "syncs admitted")
GATED = tuple(f"{mode} {kind}" for mode in MODES for kind in KINDS)
ACTIONS = ALWAYS + SOMETIMES + IN_STORMS + GATED


def tape(seed: int, longest: int = 90) -> Tape:
    """A random tape: every other seed draws from nearly everything, the rest from little."""
    chance = random.Random(seed)
    narrow = seed % 2 == 1
    few = chance.sample(SOMETIMES, chance.randint(1, 3) if narrow else chance.randint(2, 9))
    gated = chance.sample(GATED, chance.randint(1, 3) if narrow else chance.randint(0, 8))
    actions = [*ALWAYS, *few, *gated]
    weights = [chance.choice((1, 3, 10)) for _ in actions]
    numbers = chance.choice((60, 60, 6))
    length = chance.randint(8, longest)
    steps = [(action, chance.randrange(numbers)) for action in chance.choices(actions, weights, k=length)]
    if narrow and chance.random() < 0.4:
        steps.insert(0, ("second owner", 0))
    return [("two partitions", 0), *steps] if chance.random() < 0.25 else steps


def stormy(seed: int, longest: int = 90) -> Tape:
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
