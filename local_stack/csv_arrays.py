"""Files of friendships as arrays, with the same rules and the same refusals as an import into a running graph.

A block of lines without quotes whose ids are all known is read by whole columns; any other block line by line. Knows
numpy and the rules of `graph_service.csv_files`; knows no database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from graph_service import csv_files
from graph_service.csv_files import Heading, PairLine, Rejected
from graph_service.importing import Advance, numbered_lines, twin
from local_stack.degrees import Ints, counted, keys_of

UNKNOWN = -1
NumberedLines = Sequence[tuple[int, str]]
Reject = Callable[[Rejected], None]


@dataclass(frozen=True, slots=True)
class Friendships:
    """What a file says, without what is refused."""

    keys: Ints
    """``a * people + b`` by indices of people in order of id, a < b; sorted."""
    since: Ints
    """Seconds since the epoch; 0 when not known."""
    rejected: Sequence[Rejected]
    lines: int


def read(
    path: Path, ids: Sequence[str], friend_limit: int, advance: Advance = lambda _size: None
) -> Friendships:
    """Reads friendships.csv; `ids` are those of all people, ascending.

    Raises:
        NoSuchFile, WrongColumns: see `graph_service.importing`.
    """
    index = {id_: at for at, id_ in enumerate(ids)}
    rejected: list[Rejected] = []
    blocks: list[Ints] = []
    for head, lines in numbered_lines(path, csv_files.PAIR_COLUMNS):
        blocks.append(_block(head, lines, index, rejected.append))
        advance(sum(len(line) for _, line in lines))
    columns = np.concatenate(blocks, axis=1) if blocks else np.empty((4, 0), np.int64)
    columns = columns[:, _first_of_each(columns, len(ids), rejected.append)]
    columns = columns[:, _within(columns, ids, friend_limit, rejected.append)]
    keys = keys_of(columns[0], columns[1], len(ids))
    order = np.argsort(keys, kind="stable")
    rejected.sort(key=lambda one: one.line)
    return Friendships(keys[order], columns[2][order], rejected, len(keys) + len(rejected))


def _block(head: Heading, lines: NumberedLines, index: Mapping[str, int], reject: Reject) -> Ints:
    """Columns: index of a, index of b, since, line number."""
    quick = _by_columns(head, lines, index)
    if quick is None:
        return _by_lines(csv_files.pairs(head, lines), index, reject)
    numbers = np.fromiter((number for number, _ in lines), np.int64, len(lines))
    odd = (quick[0] == UNKNOWN) | (quick[1] == UNKNOWN) | (quick[0] == quick[1])
    good = np.concatenate([quick[:, ~odd], numbers[None, ~odd]])
    if not odd.any():
        return good
    rest = [lines[at] for at in np.flatnonzero(odd).tolist()]
    return np.concatenate([good, _by_lines(csv_files.pairs(head, rest), index, reject)], axis=1)


def _by_columns(head: Heading, lines: NumberedLines, index: Mapping[str, int]) -> Ints | None:
    """Index of a, index of b, since; None where a line is anything but plain."""
    text = "".join(line for _, line in lines)
    if '"' in text or "\x00" in text:
        return None
    # The end of a line becomes a cell of its own, so a line with too few or too many cells shows.
    cells = text.rstrip("\n").replace("\n", ",\n,").split(",")
    width = head.columns + 1
    if len(cells) != width * len(lines) - 1 or set(cells[head.columns :: width]) - {"\n"}:
        return None
    since = _sinces(cells[head.since :: width]) if head.since is not None else np.zeros(len(lines), np.int64)
    if since is None:
        return None
    ends = [
        np.fromiter(map(index.get, cells[place::width], repeat(UNKNOWN)), np.int64, len(lines))
        for place in head.places
    ]
    return np.stack([*ends, since])


def _sinces(cells: Sequence[str]) -> Ints | None:
    joined = "".join(cells)
    plain = joined.isascii() and joined.isdigit() and max(map(len, cells)) <= 11 and "" not in cells
    return np.fromiter(map(int, cells), np.int64, len(cells)) if plain else None


def _by_lines(lines: Iterator[PairLine | Rejected], index: Mapping[str, int], reject: Reject) -> Ints:
    rows = []
    for line in lines:
        if isinstance(line, Rejected):
            reject(line)
            continue
        pair = line.pair
        unknown = [id_ for id_ in (pair.a, pair.b) if id_ not in index]
        if unknown:
            reject(Rejected(line.line, "unknown_id", f"unknown id {unknown[0]}"))
        else:
            rows.append((index[pair.a], index[pair.b], pair.since, line.line))
    return np.array(rows, np.int64).reshape(-1, 4).T


def _first_of_each(columns: Ints, people: int, reject: Reject) -> Ints:
    """Places of the first line of each friendship, in order of line; the others are refused."""
    keys, line = keys_of(columns[0], columns[1], people), columns[3]
    if not len(keys):
        return np.empty(0, np.int64)
    order = np.lexsort((line, keys))
    run = keys[order]
    is_first = np.concatenate([[True], run[1:] != run[:-1]])
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(run)), 0))
    for at in np.flatnonzero(~is_first).tolist():
        reject(twin(int(line[order[at]]), int(line[order[first[at]]])))
    kept = order[is_first]
    places: Ints = kept[np.argsort(line[kept], kind="stable")]
    return places


def _within(columns: Ints, ids: Sequence[str], limit: int, reject: Reject) -> Ints:
    """Places of the friendships that fit when each is made in turn and nobody may have more than `limit`."""
    one, other, _, line = columns
    over = counted(keys_of(one, other, len(ids)), len(ids)) > limit
    kept = np.ones(len(one), bool)
    have: Counter[int] = Counter()
    for at in np.flatnonzero(over[one] | over[other]).tolist():
        ends = (int(one[at]), int(other[at]))
        full = [end for end in ends if have[end] >= limit]
        if full:
            kept[at] = False
            reject(Rejected(int(line[at]), "over_cap", f"over the limit of {limit} friends: {ids[full[0]]}"))
        else:
            have.update(ends)
    return np.flatnonzero(kept)
