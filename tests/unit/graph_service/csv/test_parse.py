"""Lines of CSV: their content, or the reason why they are rejected."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_service.csv import parse
from graph_service.csv.parse import Heading, PairLine, Rejected, UserLine, WrongColumns
from graph_service.model.ids import why_not
from graph_service.model.model import Pair

PEOPLE = Heading(2, (0, 1))
PAIRS = Heading(3, (0, 1), 2)


def person(line: str) -> UserLine | Rejected:
    """The content of one line of people.csv."""
    (one,) = parse.users(PEOPLE, [(7, line)])
    return one


def pair(line: str) -> PairLine | Rejected:
    """The content of one line of friendships.csv."""
    (one,) = parse.pairs(PAIRS, [(7, line)])
    return one


def code(one: object) -> str:
    """The code of a refusal."""
    assert isinstance(one, Rejected), one
    assert one.line == 7
    assert one.reason
    return one.code


def test_the_heading_names_the_columns_in_any_order() -> None:
    """Case and spaces do not matter, other columns are ignored, a byte-order mark is accepted."""
    assert parse.heading("f", "\ufeffb,Since, A ,colour\n", ("a", "b")) == Heading(4, (2, 0), 1)
    assert parse.heading("f", '"id","name"\n', ("id", "name")) == PEOPLE


@pytest.mark.parametrize("line", ["", "id\n", "id,id,name\n", "u1,Ann\n", '"id,name\n'])
def test_a_file_without_a_heading_is_refused_by_name(line: str) -> None:
    """The message quotes the first line, since that is where to look."""
    with pytest.raises(WrongColumns, match=r"people\.csv"):
        parse.heading("people.csv", line, ("id", "name"))


def test_plain_and_quoted_lines_have_the_same_content() -> None:
    """Quotes are optional; commas, quotes and what looks like a formula are data."""
    assert person("u1,Ann\n") == person('"u1","Ann"\r\n') == UserLine(7, "u1", "Ann")
    assert person('u1,"Smith, ""Ann"""\n') == UserLine(7, "u1", 'Smith, "Ann"')
    assert person("=1+1,=cmd|x\n") == UserLine(7, "=1+1", "=cmd|x")


@given(
    id_=st.text(max_size=90).filter(lambda text: not why_not(text)),
    name=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128),
)
def test_what_a_csv_writer_writes_comes_back(id_: str, name: str) -> None:
    """Every accepted id and name survives a round trip, the odd ones too."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([id_, name])
    assert person(file.getvalue()) == UserLine(7, id_, name)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('u1,"Ann\n', "broken_line"),
        ('u1,"Ann"x\n', "broken_line"),
        ("u1,A\x00n\n", "broken_line"),
        ("u1,\udce9\n", "broken_line"),
        ("u1\n", "wrong_columns"),
        ("u1,Ann,x\n", "wrong_columns"),
        (",Ann\n", "bad_id"),
        ("u 1,Ann\n", "bad_id"),
        ("u1-pnpres,Ann\n", "bad_id"),
        (f"{'u' * 85},Ann\n", "bad_id"),
        ("u1,\n", "bad_name"),
        (f"u1,{'x' * 129}\n", "bad_name"),
        ("u1,A\tn\n", "bad_name"),
    ],
)
def test_an_impossible_user_is_rejected_with_a_reason(line: str, expected: str) -> None:
    """Each kind of bad line has a stable code."""
    assert code(person(line)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("u1,u2\n", "wrong_columns"),
        ("u1,u2,3,4\n", "wrong_columns"),
        ('"u1,u2,3\n', "broken_line"),
        ("u1,u/2,3\n", "bad_id"),
        ("u1,u1,3\n", "self"),
        ("u1,u2,soon\n", "bad_since"),
        ("u1,u2,-3\n", "bad_since"),
        ("u1,u2,1_0\n", "bad_since"),
        ("u1,u2,٣\n", "bad_since"),
        ("u1,u2,9999999999999\n", "bad_since"),
    ],
)
def test_an_impossible_friendship_is_rejected_with_a_reason(line: str, expected: str) -> None:
    """Each kind of bad line has a stable code."""
    assert code(pair(line)) == expected


def test_a_time_may_be_unknown() -> None:
    """An empty cell, or no column at all, is 0."""
    assert pair("u1,u2,\n") == PairLine(7, Pair("u1", "u2", 0))
    (one,) = parse.pairs(Heading(2, (1, 0)), [(7, "u1,u2")])
    assert one == PairLine(7, Pair("u2", "u1", 0))


def test_empty_lines_are_skipped() -> None:
    """They are neither users nor rejected, and other lines keep their numbers."""
    lines = list(parse.users(PEOPLE, [(2, "\n"), (3, "u1,Ann\n"), (4, "  \n")]))
    assert lines == [UserLine(3, "u1", "Ann")]


@given(st.lists(st.text(max_size=40), max_size=20))
def test_no_line_breaks_the_reader(texts: list[str]) -> None:
    """Whatever a line holds, it is a friendship or a refusal with its own number."""
    lines = [(number, text) for number, text in enumerate(texts, 2) if text.strip()]
    assert [one.line for one in parse.pairs(PAIRS, lines)] == [number for number, _ in lines]
