"""Cursors are bound to their filter and refused when broken."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graph_service.model.cursor import BadCursor, CursorOfAnotherFilter, decode, encode

WORDS = st.text(st.characters(codec="utf-8"), max_size=90)


@given(WORDS, st.lists(WORDS, max_size=3))
def test_a_cursor_gives_back_what_it_was_made_of(after: str, filters: list[str]) -> None:
    """With the same filters, and it is safe in a URL."""
    cursor = encode(after, *filters)
    assert decode(cursor, *filters) == after
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(WORDS, WORDS, WORDS)
def test_a_cursor_of_another_filter_is_refused_as_that(after: str, one: str, other: str) -> None:
    """A page of online friends is never continued as a page of all friends."""
    assume(one != other)
    with pytest.raises(CursorOfAnotherFilter):
        decode(encode(after, one), other)


@given(WORDS, st.data())
def test_a_broken_cursor_is_refused_as_broken(after: str, data: st.DataObject) -> None:
    """Any one character changed, and any cut."""
    cursor = encode(after, "friends")
    at = data.draw(st.integers(0, len(cursor) - 1))
    broken = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
    for one in (broken, cursor[:at]):
        with pytest.raises(BadCursor):
            decode(one, "friends")


@given(st.text(max_size=1100))
def test_invented_cursors_are_refused(text: str) -> None:
    """Whatever the characters and the length."""
    with pytest.raises(BadCursor):
        decode(text)
