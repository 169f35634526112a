"""Arrays of friendships follow the same rules as lines, by either parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graph_service.csv.importer import pair_windows
from local_stack.data import csv_arrays
from local_stack.data.degrees import Ints
from local_stack.data.digits import lines_of

IDS = ["ann", "ben", "cat", "dan"]
CELLS = st.sampled_from([*IDS, "eve", "b d", '"cat"', '"x', "", "7"])
LINES = st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["1", "", "x", "9", "1,2"])), max_size=30)


def read(folder: Path, text: str, limit: int = 100) -> csv_arrays.Friendships:
    """The friendships of a file with this text."""
    path = folder / "f.csv"
    path.write_text(text, encoding="utf-8")
    return csv_arrays.read(path, IDS, limit)


def named(friendships: csv_arrays.Friendships) -> list[tuple[str, str, int]]:
    """Friendships by id."""
    return [
        (IDS[key // 4], IDS[key % 4], since)
        for key, since in zip(friendships.keys.tolist(), friendships.since.tolist(), strict=True)
    ]


def test_a_plain_file_becomes_sorted_keys(tmp_path: Path) -> None:
    """Smaller id first, times kept, a byte-order mark accepted."""
    found = read(tmp_path, "\ufeffa,b,since\ndan,ann,5\nben,cat,6\n")
    assert named(found) == [("ann", "dan", 5), ("ben", "cat", 6)]
    assert (found.rejected, found.lines) == ([], 2)


def test_refused_lines_are_reported_by_number_and_reason(tmp_path: Path) -> None:
    """Of a block with a bad line only that line is rejected."""
    text = "a,b,since\nann,ben,1\nann,eve,1\nben,ann,2\ncat,cat,1\nann\nann,dan,x\nben,cat,3\n"
    found = read(tmp_path, text)
    assert named(found) == [("ann", "ben", 1), ("ben", "cat", 3)]
    assert [(one.line, one.code) for one in found.rejected] == [
        (3, "unknown_id"),
        (4, "duplicate"),
        (5, "self"),
        (6, "wrong_columns"),
        (7, "bad_since"),
    ]
    assert found.rejected[1].reason == "line 2 says the same"


def test_no_user_gets_more_friends_than_allowed(tmp_path: Path) -> None:
    """In order of line: the one over the limit is rejected, and does not count for the other end."""
    found = read(tmp_path, "a,b\nann,ben\nann,cat\nann,dan\ncat,dan\nben,dan\nben,cat\n", limit=2)
    assert named(found) == [("ann", "ben", 0), ("ann", "cat", 0), ("ben", "dan", 0), ("cat", "dan", 0)]
    assert [(one.line, one.code, one.reason) for one in found.rejected] == [
        (4, "over_cap", "over the limit of 2 friends: ann"),
        (7, "over_cap", "over the limit of 2 friends: ben"),
    ]


@given(lines=LINES)
def test_columns_and_lines_agree(tmp_path_factory: object, lines: list[tuple[str, str, str]]) -> None:
    """Both parsers accept the same friendships and reject the same lines."""
    folder = tmp_path_factory.mktemp("csv")  # type: ignore[attr-defined]
    text = "a,b,since\n" + "".join(f"{a},{b},{since}\n" for a, b, since in lines)
    found = read(folder, text)
    (window,) = list(pair_windows(folder / "f.csv")) or [None]
    known = [line for line in (window.lines if window else []) if {line.pair.a, line.pair.b} <= set(IDS)]
    assert named(found) == sorted((*sorted((one.pair.a, one.pair.b)), one.pair.since) for one in known)
    refused = {one.line: one.code for one in found.rejected if one.code not in {"unknown_id", "duplicate"}}
    assert refused == {
        one.line: one.code for one in (window.rejected if window else []) if one.code != "duplicate"
    }


def test_numbers_are_written_as_padded_lines() -> None:
    """Each column as wide as its widest number."""
    columns: list[Ints] = [np.array([1, 20]), np.array([300, 4])]
    assert lines_of(columns) == b"01,300\n20,004\n"
