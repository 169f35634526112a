"""Read friendships.csv into arrays, with the same rules and rejections as an import into a running graph.

A block of lines without quotes whose ids are all known is parsed by columns, any other block line by line with
`graph_service.csv.parse`. No database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from graph_service.csv import parse
from graph_service.csv.importer import Advance, numbered_lines, twin
from graph_service.csv.parse import Heading, PairLine, Rejected
from local_stack.data.degrees import Ints, counted, keys_of

Int32s = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]
UNKNOWN = -1
NumberedLines = Sequence[tuple[int, str]]
Reject = Callable[[Rejected], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Friendships:
    """The accepted friendships of a file, and its rejected lines."""

    keys: Ints
    """``a * users + b`` by indices of users in order of id, a < b; sorted."""
    since: Ints
    """Seconds since the epoch; 0 when unknown."""
    rejected: Sequence[Rejected]
    lines: int


class Columns(NamedTuple):
    """Lines as arrays of the narrowest types: half a million users have 183 million friendships."""

    a: Int32s
    b: Int32s
    """Indices of users."""
    since: Ints
    line: npt.NDArray[np.uint32]

    def taken(self, places: Places) -> Columns:
        """The lines at `places`, in that order."""
        return Columns._make(column[places] for column in self)


def read(
    path: Path, ids: Sequence[str], friend_limit: int, advance: Advance = lambda _size: None
) -> Friendships:
    """Read friendships.csv; `ids` are those of all users, ascending.

    Raises:
        NoSuchFile, WrongColumns: see `graph_service.csv.importer`.
    """
    index = {id_: at for at, id_ in enumerate(ids)}
    rejected: list[Rejected] = []
    blocks: list[Columns] = []
    for head, lines in numbered_lines(path, parse.PAIR_COLUMNS):
        blocks.append(_block(head, lines, index, rejected.append))
        advance(sum(len(line) for _, line in lines))
    keys, since = _accepted(_joined(blocks), ids, friend_limit, rejected.append)
    order = np.argsort(keys, kind="stable")
    rejected.sort(key=lambda one: one.line)
    total = len(keys) + len(rejected)
    return Friendships(keys=keys[order], since=since[order], rejected=rejected, lines=total)


def _joined(blocks: list[Columns]) -> Columns:
    """All blocks as one; each column's parts are freed as soon as they are joined."""
    parts = list(zip(*blocks, strict=True)) or [()] * len(Columns._fields)
    blocks.clear()
    types = (np.int32, np.int32, np.int64, np.uint32)
    return Columns._make(np.concatenate([np.empty(0, kind), *parts.pop(0)]) for kind in types)


def _accepted(columns: Columns, ids: Sequence[str], limit: int, reject: Reject) -> tuple[Ints, Ints]:
    """Keys and since of the accepted lines, in any order."""
    users = len(ids)
    keys = keys_of(columns.a, columns.b, users)
    if _has_twins(keys):
        columns = columns.taken(_first_of_each(keys, columns.line, reject))
        keys = keys_of(columns.a, columns.b, users)
    over = counted(keys, users) > limit
    if over.any():
        columns = columns.taken(np.argsort(columns.line, kind="stable"))
        columns = columns.taken(_within(columns, over, ids, limit, reject))
        keys = keys_of(columns.a, columns.b, users)
    return keys, columns.since


def _has_twins(keys: Ints) -> bool:
    run = np.sort(keys)
    return bool((run[1:] == run[:-1]).any())


def _block(head: Heading, lines: NumberedLines, index: Mapping[str, int], reject: Reject) -> Columns:
    quick = _by_columns(head, lines, index)
    if quick is None:
        return _by_lines(parse.pairs(head, lines), index, reject)
    odd = (quick.a == UNKNOWN) | (quick.b == UNKNOWN) | (quick.a == quick.b)
    if not odd.any():
        return quick
    rest = [lines[at] for at in np.flatnonzero(odd).tolist()]
    good = quick.taken(np.flatnonzero(~odd))
    return _joined([good, _by_lines(parse.pairs(head, rest), index, reject)])


def _by_columns(head: Heading, lines: NumberedLines, index: Mapping[str, int]) -> Columns | None:
    """None where a line needs the full parser."""
    text = "".join(line for _, line in lines)
    if '"' in text or "\x00" in text:
        return None
    # Each line end becomes a separate cell, so a line with too few or too many cells is detected.
    cells = text.rstrip("\n").replace("\n", ",\n,").split(",")
    width = head.columns + 1
    if len(cells) != width * len(lines) - 1 or set(cells[head.columns :: width]) - {"\n"}:
        return None
    since = _sinces(cells[head.since :: width]) if head.since is not None else np.zeros(len(lines), np.int64)
    if since is None:
        return None
    a, b = (
        np.fromiter(map(index.get, cells[place::width], repeat(UNKNOWN)), np.int32, len(lines))
        for place in head.places
    )
    return Columns(a, b, since, np.fromiter((number for number, _ in lines), np.uint32, len(lines)))


def _sinces(cells: Sequence[str]) -> Ints | None:
    joined = "".join(cells)
    plain = joined.isascii() and joined.isdigit() and max(map(len, cells)) <= 11 and "" not in cells
    return np.fromiter(map(int, cells), np.int64, len(cells)) if plain else None


def _by_lines(lines: Iterator[PairLine | Rejected], index: Mapping[str, int], reject: Reject) -> Columns:
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
    a, b, since, numbers = np.array(rows, np.int64).reshape(-1, 4).T
    return Columns(a.astype(np.int32), b.astype(np.int32), since, numbers.astype(np.uint32))


def _first_of_each(keys: Ints, line: npt.NDArray[np.uint32], reject: Reject) -> Places:
    """Places of the first line of each friendship; the others are rejected."""
    order = np.lexsort((line, keys))
    run = keys[order]
    is_first = np.concatenate([[True], run[1:] != run[:-1]])
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(run)), 0))
    for at in np.flatnonzero(~is_first).tolist():
        reject(twin(int(line[order[at]]), int(line[order[first[at]]])))
    places: Places = order[is_first]
    return places


def _within(
    columns: Columns, over: npt.NDArray[np.bool_], ids: Sequence[str], limit: int, reject: Reject
) -> Places:
    """Places of the friendships that fit when each is created in turn and no user may have more than `limit`.

    `over` marks the users who would have more.
    """
    one, other, _, line = columns
    is_kept = np.ones(len(one), bool)
    have: Counter[int] = Counter()
    for at in np.flatnonzero(over[one] | over[other]).tolist():
        ends = (int(one[at]), int(other[at]))
        full = [end for end in ends if have[end] >= limit]
        if full:
            is_kept[at] = False
            reject(Rejected(int(line[at]), "over_cap", f"over the limit of {limit} friends: {ids[full[0]]}"))
        else:
            have.update(ends)
    return np.flatnonzero(is_kept)
