"""Parses lines of people.csv and friendships.csv into values, or into the reasons why they are rejected. Pure.

One record is one line (RFC 4180 quoting, but no line break inside quotes), so that every rejection has a line number
and one broken quote cannot swallow the lines after it. The first line names the columns, in any order; columns with
other names are ignored. Cells are never changed, not even those that a spreadsheet would take for a formula.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from graph_service.errors import BadInput
from graph_service.model.ids import why_not
from graph_service.model.model import Pair

USER_COLUMNS = ("id", "name")
PAIR_COLUMNS = ("a", "b")
SINCE = "since"
MAX_NAME_CHARACTERS = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_SINCE_SECONDS = 253_402_300_799
"""The end of the year 9999, seconds since the epoch."""


class WrongColumns(BadInput):
    """{file}: the first line must name the columns {wanted}; it says '{found}'."""

    code = "wrong_columns"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line that is not imported."""

    line: int
    """From 1, the heading included."""
    code: str
    """Stable: broken_line, wrong_columns, bad_id, bad_name, bad_since, self, unknown_id, duplicate, over_cap, blocked."""
    reason: str


@dataclass(frozen=True, slots=True)
class UserLine:
    """A line of people.csv."""

    line: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class PairLine:
    """A line of friendships.csv."""

    line: int
    pair: Pair


@dataclass(frozen=True, slots=True)
class Heading:
    """The positions of the columns."""

    columns: int
    places: tuple[int, ...]
    since: int | None = None


def heading(file: str, line: str, wanted: Sequence[str]) -> Heading:
    """Parse the first line; a byte-order mark before it is accepted.

    Raises:
        WrongColumns: it does not name the wanted columns, each once.
    """
    names = [name.strip().lower() for name in _cells(line.removeprefix("\ufeff")) or []]
    if any(names.count(name) != 1 for name in wanted):
        raise WrongColumns(file=file, wanted=",".join(wanted), found=line.strip()[:80])
    since = names.index(SINCE) if SINCE in names else None
    return Heading(len(names), tuple(names.index(name) for name in wanted), since)


def users(head: Heading, lines: Iterable[tuple[int, str]]) -> Iterator[UserLine | Rejected]:
    """Each numbered line as a user, or as rejected; empty lines are skipped."""
    return (_user(head, number, line) for number, line in lines if line.strip())


def pairs(head: Heading, lines: Iterable[tuple[int, str]]) -> Iterator[PairLine | Rejected]:
    """Each numbered line as a friendship, or as rejected; empty lines are skipped."""
    return (_pair(head, number, line) for number, line in lines if line.strip())


def _user(head: Heading, number: int, line: str) -> UserLine | Rejected:
    cells = _row(head, number, line)
    if isinstance(cells, Rejected):
        return cells
    id_, name = (cells[place] for place in head.places)
    if reason := why_not(id_):
        return Rejected(number, "bad_id", f"id {reason}")
    if not name or len(name) > MAX_NAME_CHARACTERS or _CONTROL.search(name):
        return Rejected(
            number,
            "bad_name",
            f"a name has 1 to {MAX_NAME_CHARACTERS} characters, none of them a control character",
        )
    return UserLine(number, id_, name)


def _pair(head: Heading, number: int, line: str) -> PairLine | Rejected:
    cells = _row(head, number, line)
    if isinstance(cells, Rejected):
        return cells
    a, b = (cells[place] for place in head.places)
    for column, id_ in zip(PAIR_COLUMNS, (a, b), strict=True):
        if reason := _why_not(id_):
            return Rejected(number, "bad_id", f"{column} {reason}")
    if a == b:
        return Rejected(number, "self", "a user cannot be their own friend")
    since = _seconds(cells[head.since]) if head.since is not None else 0
    if since is None:
        return Rejected(number, "bad_since", "since is not a number of seconds since 1970")
    return PairLine(number, Pair(a, b, since))


def _row(head: Heading, number: int, line: str) -> list[str] | Rejected:
    cells = _cells(line)
    if cells is None:
        return Rejected(number, "broken_line", "quotes do not match, or it is not UTF-8 text")
    if len(cells) != head.columns:
        return Rejected(
            number, "wrong_columns", f"has {len(cells)} columns, the first line names {head.columns}"
        )
    return cells


def _cells(line: str) -> list[str] | None:
    """The cells of one line, or None where it is not CSV. Bytes that are not UTF-8 arrive as lone surrogates."""
    line = line.rstrip("\r\n")
    if "\x00" in line or not (line.isascii() or _is_text(line)):
        return None
    if '"' not in line:
        return line.split(",")
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


_why_not = lru_cache(1 << 18)(why_not)
"""Cached: the same id is in many lines."""


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _seconds(text: str) -> int | None:
    """Seconds since the epoch; an empty cell is 0, unknown."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        return None
    seconds = int(text)
    return seconds if seconds <= MAX_SINCE_SECONDS else None
