"""Query files and their headers."""

from __future__ import annotations

import pytest

from graph_service.graph.queries import BadQueryFile, catalogue, parse

GOOD = """// What it answers.
//
// parameters: id: string
// returns:    one row: a thing
//             and more of it
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All); Eager (a reason with Words in it)
MATCH (u:User {id: $id})
RETURN u
"""


def test_the_header_is_not_sent_to_the_server() -> None:
    """The text holds the query alone."""
    query = parse("thing", GOOD)
    assert query.text == "MATCH (u:User {id: $id})\nRETURN u"
    assert query.header["returns"] == "one row: a thing and more of it"


def test_the_plan_line_names_operators_and_reasons_are_not_operators() -> None:
    """Text after a semicolon or in brackets is a reason."""
    query = parse("thing", GOOD)
    assert query.operators == {"NodeUniqueIndexSeek", "Expand(All)"}
    assert query.may_be_eager


@pytest.mark.parametrize("word", ["parameters", "returns", "locks", "plan"])
def test_a_header_without_a_field_is_refused_by_file_and_field(word: str) -> None:
    """So that no query exists whose locks are unknown."""
    source = "\n".join(line for line in GOOD.splitlines() if not line.startswith(f"// {word}:"))
    with pytest.raises(BadQueryFile, match=rf"cypher/thing\.cypher: lacks {word}"):
        parse("thing", source)


def test_a_file_without_a_query_is_refused() -> None:
    """A header alone is no query."""
    header = "\n".join(line for line in GOOD.splitlines() if line.startswith("//"))
    with pytest.raises(BadQueryFile, match="lacks a query"):
        parse("thing", header)


def test_every_query_of_the_folder_can_be_read() -> None:
    """The catalogue is complete, the commit and read stages included."""
    assert {"write_flags", "read_online_friends"} <= set(catalogue())
