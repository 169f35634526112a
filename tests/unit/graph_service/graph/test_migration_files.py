"""Migration files: names, statements and checksums."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_service.graph.migration_files import BadMigrationFile, bare, parse, read_folder, split


def test_semicolons_in_strings_backticks_and_comments_do_not_end_a_statement() -> None:
    """Only a semicolon of the language does; the last statement needs none."""
    text = """
    CREATE (:A {x: 'a;b', y: "c;d"}); // note; here
    /* block; of; comment */ CREATE (:`B;C`);
    CREATE (:D)
    """
    assert [bare(one) for one in split(text)] == [
        "CREATE (:A {x: 'a;b', y: \"c;d\"})",
        "CREATE (:`B;C`)",
        "CREATE (:D)",
    ]


def test_a_quote_may_be_escaped() -> None:
    """A backslash keeps the string open."""
    assert len(split(r"CREATE (:A {x: 'it\'s; fine'}); RETURN 1")) == 2


def test_comments_alone_are_no_statement() -> None:
    """A file may end with a comment."""
    assert split("RETURN 1;\n// the end; really\n") == ("RETURN 1",)


@given(
    st.lists(
        st.text(alphabet="abc 'x\"`\\\n", max_size=12).map(lambda s: f"RETURN {s.count('a')}"), max_size=5
    )
)
def test_split_statements_join_to_the_original(statements: list[str]) -> None:
    """Joining with semicolons and splitting again is the identity."""
    assert list(split(";\n".join(statements))) == statements


def test_the_checksum_is_that_of_the_java_tool() -> None:
    """CRC32 over the trimmed statements, one after the other, as a decimal number."""
    migration = parse("V0001__two_things.cypher", "// why\nCREATE (:A);\nCREATE (:B);\n")
    assert migration.checksum == str(zlib.crc32(b"// why\nCREATE (:A)CREATE (:B)"))
    assert migration.description == "two things"


@pytest.mark.parametrize("name", ["0001__x.cypher", "V1_x.cypher", "V1__.cypher", "Vx__y.cypher"])
def test_a_name_without_version_or_words_is_refused(name: str) -> None:
    """The message shows a good one."""
    with pytest.raises(BadMigrationFile, match="V0001__what_it_does"):
        parse(name, "RETURN 1")


def test_schema_and_data_in_one_file_are_refused() -> None:
    """Neo4j does not allow both in one transaction."""
    with pytest.raises(BadMigrationFile, match="mixes schema and data"):
        parse("V1__both.cypher", "CREATE INDEX i IF NOT EXISTS FOR (u:U) ON (u.x); CREATE (:U)")


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("CREATE CONSTRAINT c IF NOT EXISTS FOR (u:U) REQUIRE u.id IS UNIQUE", True),
        ("CREATE RANGE INDEX i FOR (u:U) ON (u.x)", True),
        ("DROP INDEX i IF EXISTS", True),
        ("CREATE (:Constraint)", False),
        ("MATCH (u:Index) SET u.x = 1", False),
    ],
)
def test_schema_and_data_statements_are_distinguished(text: str, schema: bool) -> None:
    """By the command, not by a label with a similar name."""
    assert parse("V1__x.cypher", text).is_schema is schema


@pytest.mark.parametrize(
    "clause", ["IN TRANSACTIONS", "IN 4 CONCURRENT TRANSACTIONS", "in transactions of 10 rows"]
)
def test_a_statement_that_opens_transactions_runs_outside_of_one(clause: str) -> None:
    """CALL … IN TRANSACTIONS cannot be inside another transaction."""
    text = "MATCH (u:User) CALL (u) { SET u.x = 1 } "
    assert parse("V1__x.cypher", text + clause).commits_itself
    assert not parse("V1__x.cypher", f"{text}// {clause}").commits_itself


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    """It would be unknown which was applied."""
    (tmp_path / "V0001__a.cypher").write_text("RETURN 1")
    (tmp_path / "V1__b.cypher").write_text("RETURN 2")
    with pytest.raises(BadMigrationFile, match="has the version of"):
        read_folder(tmp_path)


def test_files_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    """V10 comes after V9."""
    for name in ("V10__c.cypher", "V9__b.cypher", "V0001__a.cypher"):
        (tmp_path / name).write_text("RETURN 1")
    assert [migration.version for migration in read_folder(tmp_path)] == ["0001", "9", "10"]
