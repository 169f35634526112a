"""Pages and cursors of App Context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.objects_page import PageError, PageRequest, cursor, cut, page_request


def test_a_cursor_is_the_unpadded_base64_of_an_offset() -> None:
    """As recorded: `MTA` is 10, `MA` is 0."""
    assert (cursor(10), cursor(0)) == ("MTA", "MA")


def test_the_first_page_says_where_the_next_begins_and_nothing_of_a_previous_one() -> None:
    """`next` is there whenever the page is not empty, on the last page too."""
    assert cut("abc", PageRequest(limit=2, count=True)) == ("ab", {"totalCount": 3, "next": "Mg"})
    assert cut("abc", PageRequest())[1] == {"next": "Mw"}


def test_past_the_end_there_is_no_next() -> None:
    """`data` is empty then."""
    assert cut("abc", PageRequest(start=3)) == ("", {"prev": "Mw"})


@pytest.mark.parametrize("text", ["1", "true", "True"])
def test_every_spelling_of_count_is_understood(text: str) -> None:
    assert page_request({"count": text}).count


def test_total_count_may_also_be_included() -> None:
    """The newer Python client asks for it by `include`."""
    assert page_request({"include": "custom,totalCount"}).count
    assert not page_request({"count": "false"}).count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "x"),
        ("limit", "9" * 5000),
        ("limit", "٣"),
        ("start", "!"),
        ("start", "eA"),
        ("end", "LTE"),
        ("start", "OTk5OTk5OTk5OTk5"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(name: str, value: str) -> None:
    """Absurd limits and foreign cursors are rejected."""
    with pytest.raises(PageError) as refusal:
        page_request({name: value})
    assert refusal.value.location == name


@given(st.integers(0, 60), st.integers(1, 20))
def test_paging_forward_shows_every_item_exactly_once(total: int, limit: int) -> None:
    """Following `next` until a page is empty."""
    items, seen, query = list(range(total)), [], {"limit": str(limit)}
    while True:
        part, members = cut(items, page_request(query))
        if not part:
            break
        seen += part
        query["start"] = members["next"]
    assert seen == items


@given(st.integers(1, 60), st.integers(1, 20))
def test_paging_backward_shows_every_item_exactly_once(total: int, limit: int) -> None:
    """Following `prev` from behind the last item until a page is empty."""
    items: list[int] = list(range(total))
    seen: list[int] = []
    query = {"limit": str(limit), "end": cursor(total)}
    while True:
        part, members = cut(items, page_request(query))
        if not part:
            break
        seen = [*part, *seen]
        query["end"] = members["prev"]
    assert seen == items
