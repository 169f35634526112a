"""Write a generated population as people.csv and friendships.csv.

Ids and times have fixed widths, so lines are written as blocks of bytes, a million at a time.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from local_stack.data.digits import write_digits
from local_stack.data.generate import Ints, Population, id_digits

PEOPLE, FRIENDSHIPS = "people.csv", "friendships.csv"
FIRST_DAY, LAST_DAY = 1_262_304_000, 1_767_225_600
"""2010 and 2026, in seconds since the epoch: friendships begin between the two. Always ten digits."""
ROWS_PER_WRITE = 1_000_000

Advance = Callable[[int], None]
"""Called with the number of friendships written since the last call."""


def write(population: Population, folder: Path, seed: int, advance: Advance = lambda _count: None) -> None:
    """Write both files, each atomically; existing ones are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{PEOPLE}"
    with draft.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["id", "name"])
        lines.writerows(zip(population.ids, population.names, strict=True))
    draft.replace(folder / PEOPLE)
    draft = folder / f".{FRIENDSHIPS}"
    rng = np.random.default_rng([seed, 1])
    with draft.open("wb") as binary:
        binary.write(b"a,b,since\n")
        for start in range(0, len(population.pairs), ROWS_PER_WRITE):
            pairs = population.pairs[start : start + ROWS_PER_WRITE]
            binary.write(_lines(pairs, _sinces(len(pairs), rng), id_digits(len(population.ids))))
            advance(len(pairs))
    draft.replace(folder / FRIENDSHIPS)


def _sinces(count: int, rng: np.random.Generator) -> Ints:
    """Random beginnings of friendships, denser towards the present, as a product grows."""
    age = np.sqrt(rng.random(count))
    return (FIRST_DAY + age * (LAST_DAY - FIRST_DAY)).astype(np.int64)


def _lines(pairs: Ints, sinces: Ints, digits: int) -> bytes:
    """``u0000001,u0000002,1700000000`` a friendship."""
    width = digits + 1
    text = np.full((len(pairs), 2 * width + 13), ord("u"), np.uint8)
    for side in (0, 1):
        start = side * (width + 1) + 1
        write_digits(text[:, start : start + digits], pairs[:, side])
        text[:, start + digits] = ord(",")
    write_digits(text[:, -11:-1], sinces)
    text[:, -1] = ord("\n")
    return text.tobytes()
