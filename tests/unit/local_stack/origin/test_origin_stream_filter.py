"""The stream filter language, expression by expression."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.envelope import Envelope, Event, event
from local_stack.origin.stream_filter import FilterError, compiled


def message(meta: Any = None, data: Any = None) -> Event:
    """A message with this metadata and payload."""
    return event(Envelope(channel="ch", payload=data, meta=meta), 1, "demo", "5", 41)


META = {
    "uuid": "Serhii",
    "level": 5,
    "vip": True,
    "user": {"role": "admin", "tags": ["a", "b"]},
    "tags": ["x", 1],
    "text": "Hello World",
}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("uuid == 'Serhii'", True),
        ('uuid == "Serhii"', True),
        ("uuid != 'Serhii'", False),
        ("meta.uuid == 'Serhii'", True),
        ("data.n == 1", True),
        ("meta.user[\"role\"] == 'admin'", True),
        ("meta.user.tags[1] == 'b'", True),
        ("level > 4 && level < 6", True),
        ("level >= 6 || level <= 5", True),
        ("!(level == 5)", False),
        ("level + 1 == 6", True),
        ("level * 2 - 4 == 3 * 2", True),
        ("level % 2 == 1", True),
        ("level / 0 == 1", False),
        ("-level < 0", True),
        ("text LIKE 'hello*'", True),
        ("text like '*WORLD'", True),
        ("text LIKE 'World'", False),
        ("text CONTAINS 'lo W'", True),
        ("tags contains 'x'", True),
        ("tags CONTAINS 1", True),
        ("tags CONTAINS true", False),
        ("vip == true", True),
        ("vip", True),
        ("missing", False),
        ("missing == 1", False),
        ("missing != 1", False),
        ("!missing", True),
        ("level > '4'", False),
        ("uuid < 'T'", False),
        ("level == '5'", False),
        ("'it\\'s' == 'it\\'s'", True),
        ("(level == 5) && (uuid == 'x' || vip)", True),
    ],
)
def test_an_expression_means_what_the_documentation_says(expression: str, holds: bool) -> None:
    predicate = compiled(expression)
    assert predicate is not None
    assert predicate(message(META, {"n": 1})) is holds


@pytest.mark.parametrize(
    "expression",
    [
        "==",
        "a ==",
        "(a",
        "a)",
        "a b",
        "'open",
        "a @ b",
        "a.",
        "a[",
        "a[b]",
        "1 2",
        "(" * 100,
        "!" * 100 + "a",
    ],
)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(FilterError):
        compiled(expression)


def test_no_expression_is_no_filter() -> None:
    assert compiled("") is None
    assert compiled("  ") is None


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """Nothing else is raised, neither reading nor applying it."""
    try:
        predicate = compiled(text)
    except FilterError:
        return
    if predicate is not None:
        assert predicate(message(META, [1])) in (True, False)
        assert predicate(message()) in (True, False)
