"""The filter and sort language of App Context (PubNub docs, "App Context filtering").

Pure: parses an expression such as ``channel.name LIKE 'Midn*' && !(custom.age < 21)`` into a predicate over a JSON
record, and ``name,updated:desc`` into a sort order.

A member that a record does not have matches nothing, under any operator; only the literal ``null`` finds it
(``custom.k == null``) or excludes it. Values of different types match under no operator. ``LIKE`` ignores case; its
``*`` stands for any run of characters.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
Test = Callable[[Record], bool]
Operand = Callable[[Record], Any]

MAX_LENGTH = 8192
MAX_DEPTH = 64

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|<|>|!|\(|\))
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERED = {"number", "text"}
_SCALARS = {"boolean", *_ORDERED}
_BOOLEANS = {"true": True, "false": False}


class FilterError(ValueError):
    """The filter expression cannot be read."""


class SortError(ValueError):
    """The sort expression cannot be read."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression: `kind` is text, number, name, sign or end."""

    kind: str
    text: str


def filter_test(expression: str, names: Iterable[str]) -> Test:
    """Parse `expression` into a predicate over one record.

    `names` are the members that can be filtered by; `custom` also admits every `custom.<key>` below it.
    Raises `FilterError` with the reason.
    """
    if len(expression) > MAX_LENGTH:
        raise FilterError("Filter expression is too long.")
    return _Reader(_tokens(expression), frozenset(names)).whole()


def value_of(record: Record, name: str) -> Any:
    """The member `name` of `record` (dots descend), or None when any step is absent."""
    here: Any = record
    for step in name.split("."):
        if not isinstance(here, Mapping):
            return None
        here = here.get(step)
    return here


def sort_records(records: Iterable[Record], order: list[tuple[str, bool]]) -> list[Any]:
    """`records` sorted by `order` (pairs of name and descending); the sort is stable."""
    result = list(records)
    for name, descending in reversed(order):
        result.sort(key=lambda record: _sort_key(value_of(record, name)), reverse=descending)
    return result


def sort_order(expressions: Iterable[str], names: Iterable[str]) -> list[tuple[str, bool]]:
    """Parse ``name``, ``updated:desc`` and comma lists of them into pairs of name and descending.

    Raises `SortError` for an unknown name or direction.
    """
    known = frozenset(names)
    order = []
    for part in (part.strip() for text in expressions for part in text.split(",")):
        if not part:
            continue
        name, _, direction = part.partition(":")
        if name not in known or direction.lower() not in {"", "asc", "desc"}:
            raise SortError(f"Sort expression is invalid: '{part[:100]}'.")
        order.append((name, direction.lower() == "desc"))
    return order


def _sort_key(value: Any) -> tuple[int, int | float, str]:
    """Nulls first, then booleans and numbers, then texts: a total order over every JSON scalar."""
    if value is None:
        return (0, 0, "")
    if isinstance(value, bool | int | float):
        return (1, value, "")
    return (2, 0, str(value))


def _tokens(expression: str) -> list[Token]:
    tokens = []
    at = 0
    end = len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise FilterError(f"Filter expression cannot be read at position {at}.")
        kind = match.lastgroup or "end"
        tokens.append(Token(kind, match.group(kind)))
        at = match.end()
    tokens.append(Token("end", ""))
    return tokens


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


class _Reader:
    """Recursive-descent parser with the usual precedence: or, and, not."""

    def __init__(self, tokens: list[Token], names: frozenset[str]) -> None:
        self._tokens = tokens
        self._names = names
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        test = self._any()
        if self._peek().kind != "end":
            raise FilterError(f"Unexpected '{self._peek().text}' in filter expression.")
        return test

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, sign: str) -> bool:
        if self._peek() == Token("sign", sign):
            self._next()
            return True
        return False

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("||"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda record: any(test(record) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("&&"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda record: all(test(record) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError("Filter expression is nested too deeply.")
        try:
            if self._take("!"):
                negated = self._one()
                return lambda record: not negated(record)
            if self._take("("):
                return self._closed()
            return self._comparison()
        finally:
            self._depth -= 1

    def _closed(self) -> Test:
        test = self._any()
        if not self._take(")"):
            raise FilterError("Missing ')' in filter expression.")
        return test

    def _comparison(self) -> Test:
        left = self._operand()
        token = self._next()
        if token.kind == "name" and token.text.lower() == "like":
            return _like(left, self._pattern())
        if token.kind != "sign" or token.text not in _COMPARISONS:
            raise FilterError(f"Expected a comparison operator, found '{token.text}'.")
        return _compared(left, token.text, self._operand())

    def _pattern(self) -> re.Pattern[str]:
        token = self._next()
        if token.kind != "text":
            raise FilterError("LIKE needs a quoted pattern.")
        parts = (re.escape(part) for part in re.split(r"\*+", _unquoted(token.text)))
        return re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)

    def _operand(self) -> Operand:
        token = self._next()
        if token.kind == "text":
            return _constant(_unquoted(token.text))
        if token.kind == "number":
            return _constant(float(token.text))
        if token.kind == "name":
            return self._named(token.text)
        raise FilterError(f"Expected a name or a value, found '{token.text}'.")

    def _named(self, name: str) -> Operand:
        if name.lower() == "null":
            return _NULL
        if name.lower() in _BOOLEANS:
            return _constant(_BOOLEANS[name.lower()])
        if name not in self._names and not self._is_custom(name):
            raise FilterError(f"Unknown name '{name[:100]}' in filter expression.")
        return lambda record: value_of(record, name)

    def _is_custom(self, name: str) -> bool:
        owner, _, key = name.rpartition(".")
        return bool(key) and (owner == "custom" or owner.endswith(".custom")) and owner in self._names


def _constant(value: Any) -> Operand:
    return lambda _record: value


def _like(operand: Operand, pattern: re.Pattern[str]) -> Test:
    def matches(record: Record) -> bool:
        value = operand(record)
        return isinstance(value, str) and pattern.fullmatch(value) is not None

    return matches


_NULL: Operand = _constant(None)


def _compared(left: Operand, sign: str, right: Operand) -> Test:
    if left is _NULL or right is _NULL:
        return _compared_with_null(right if left is _NULL else left, sign)
    holds = _COMPARISONS[sign]
    ordered = sign not in {"==", "!="}

    def compares(record: Record) -> bool:
        one, other = left(record), right(record)
        kind = _kind(one)
        return (
            kind == _kind(other) and kind in (_ORDERED if ordered else _SCALARS) and bool(holds(one, other))
        )

    return compares


def _compared_with_null(operand: Operand, sign: str) -> Test:
    if sign == "==":
        return lambda record: operand(record) is None
    if sign == "!=":
        return lambda record: operand(record) is not None
    return lambda _record: False


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"
