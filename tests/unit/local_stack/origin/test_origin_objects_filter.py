"""The App Context filter and sort language, against samples and a reference evaluator."""

from __future__ import annotations

import contextlib
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.objects_filter import FilterError, SortError, filter_test, sort_order, sort_records

NAMES = ("id", "name", "updated", "custom", "status", "channel.name", "channel.id", "channel.custom")
ANN = {
    "id": "u1",
    "name": "Ann",
    "updated": "2024-05-01T10:00:00.000000Z",
    "custom": {"age": 30, "vip": True, "note": "it's"},
    "status": None,
    "channel": {"id": "c1", "name": "Midnight", "custom": {"k": "v"}},
}


def holds(expression: str) -> bool:
    """Whether Ann matches."""
    return filter_test(expression, NAMES)(ANN)


@pytest.mark.parametrize(
    "expression",
    [
        "channel.name like 'Midn*'",
        "channel.name LIKE '*NIGHT'",
        "updated >= '2019-01-01T00:00:00Z'",
        "channel.id == 'c1'",
        "!(channel.id LIKE 'PUBNUB_INTERNAL_MODERATION_*')",
        'name == "Ann" && custom.age > 29.5',
        "custom.age < 10 || name != 'Bob'",
        "(name == 'Bob' || name == 'Ann') && custom.vip == true",
        "custom.note == 'it\\'s'",
        "custom.missing == null",
        "custom.age != null",
        "status == null",
        "channel.custom.k == 'v'",
        "custom.age == 30",
        "  name   ==   'Ann'  ",
        "!name == 'Bob'",
    ],
)
def test_these_expressions_hold_for_ann(expression: str) -> None:
    """Every form of real traffic and of the documentation, and similar ones."""
    assert holds(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "custom.missing != 'x'",
        "custom.missing == 'x'",
        "custom.missing LIKE '*'",
        "custom.age == '30'",
        "custom.vip > false",
        "custom.vip == false",
        "custom.age != 'thirty'",
        "name LIKE 'nn'",
        "name < null",
        "name == 'ann'",
        "name == 'Ann' && custom.age < 1 || name == 'Bob'",
        "channel.id == 'c2'",
    ],
)
def test_these_expressions_do_not_hold_for_ann(expression: str) -> None:
    """A missing member and a value of another type match under no operator."""
    assert not holds(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "name",
        "name ==",
        "== 'a'",
        "name = 'a'",
        "name == 'a",
        "(name == 'a'",
        "name == 'a')",
        "name == 'a' &&",
        "secret == 'a'",
        "name LIKE 5",
        "name LIKE name",
        "LIKE 'a'",
        "name.x == 'a'",
        "!" * 100 + "name == 'a'",
        "(" * 1000,
        "name == 'a' name == 'b'",
        "name == 'a' @ 1",
        "x" * 9000,
    ],
)
def test_an_expression_that_cannot_be_read_says_so(expression: str) -> None:
    """Invalid input is a `FilterError` with a text, never another exception."""
    with pytest.raises(FilterError, match=r"\w"):
        filter_test(expression, NAMES)


@given(st.text(alphabet="name'\"()!&|=<>*. LIKEcustom01\\-", max_size=60))
def test_no_text_breaks_the_reader(expression: str) -> None:
    """Any input is parsed or rejected."""
    with contextlib.suppress(FilterError):
        filter_test(expression, NAMES)(ANN)


SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b", "ab", "B", "aXb"]))
RECORDS = st.dictionaries(st.sampled_from(["k1", "k2"]), SCALARS | st.none(), max_size=2)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Any:
    """An expression as a tree that the reference evaluator below understands."""
    form = draw(st.sampled_from(["compare", "like", "not", "and", "or"] if depth else ["compare", "like"]))
    if form == "compare":
        sign = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
        return (form, draw(st.sampled_from(["k1", "k2"])), sign, draw(SCALARS | st.none()))
    if form == "like":
        pattern = draw(st.text(alphabet="aAbBX*", max_size=4))
        return (form, draw(st.sampled_from(["k1", "k2"])), pattern)
    if form == "not":
        return (form, draw(trees(depth - 1)))
    return (form, draw(trees(depth - 1)), draw(trees(depth - 1)))


def written(tree: Any) -> str:
    """The tree in the filter language, every group in parentheses."""
    match tree:
        case ("compare", name, sign, value):
            return f"custom.{name} {sign} {_literal(value)}"
        case ("like", name, pattern):
            return f"custom.{name} LIKE '{pattern}'"
        case ("not", inner):
            return f"!({written(inner)})"
        case (word, left, right):
            return f"({written(left)}) {'&&' if word == 'and' else '||'} ({written(right)})"
    raise AssertionError(tree)


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


def judged(tree: Any, custom: dict[str, Any]) -> bool:
    """The reference evaluator: the same semantics, implemented differently."""
    match tree:
        case ("not", inner):
            return not judged(inner, custom)
        case ("and", left, right):
            return judged(left, custom) and judged(right, custom)
        case ("or", left, right):
            return judged(left, custom) or judged(right, custom)
        case ("like", name, pattern):
            value = custom.get(name)
            return isinstance(value, str) and fnmatchcase(value.lower(), pattern.lower())
        case ("compare", name, sign, None):
            return {"==": custom.get(name) is None, "!=": custom.get(name) is not None}.get(sign, False)
        case ("compare", name, sign, value):
            own = custom.get(name)
            if type(own) is not type(value) or (isinstance(value, bool) and sign not in {"==", "!="}):
                return False
            return bool(eval(f"own {sign} value", {"own": own, "value": value}))
    raise AssertionError(tree)


@given(trees(), RECORDS)
def test_the_language_means_what_the_reference_means(tree: Any, custom: dict[str, Any]) -> None:
    """Any expression over any record has the result of the reference evaluator."""
    assert filter_test(written(tree), ["custom"])({"custom": custom}) == judged(tree, custom)


def test_sorting_goes_by_the_first_name_then_the_next() -> None:
    """`name,updated:desc`, with nulls first and equal records in their old order."""
    records = [
        {"id": "3", "name": "b", "updated": "1"},
        {"id": "1", "name": "a", "updated": "1"},
        {"id": "2", "name": "a", "updated": "2"},
        {"id": "4", "name": None, "updated": "1"},
    ]
    order = sort_order(["name,updated:desc"], ["name", "updated"])
    assert [record["id"] for record in sort_records(records, order)] == ["4", "2", "1", "3"]


def test_repeated_sort_parameters_follow_each_other() -> None:
    """The JavaScript client repeats the key."""
    assert sort_order(["name", "updated:DESC"], ["name", "updated"]) == [("name", False), ("updated", True)]


@pytest.mark.parametrize("expression", ["secret", "name:up", "name:desc:asc", "custom.x y"])
def test_an_unknown_sort_is_refused(expression: str) -> None:
    """Unknown names and directions are errors."""
    with pytest.raises(SortError):
        sort_order([expression], ["name"])
