"""The stream filter language of `filter-expr` (PubNub docs, "Stream filtering"; bare names recorded).

Pure: compiles an expression into a predicate over one message. `meta.x` and a bare `x` refer to the message's
metadata, `data.x` to its payload; a comparison with an absent value is false.

    or         = and { "||" and }                         and   = comparison { "&&" comparison }
    comparison = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | CONTAINS) sum ]
    sum        = term { ("+" | "-") term }                term  = unary { ("*" | "/" | "%") unary }
    unary      = [ "!" | "-" ] ( number | string | true | false | name { "." name | "[" key "]" } | "(" or ")" )
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from local_stack.origin.envelope import Event

Predicate = Callable[[Event], bool]
Value = Callable[[Event], Any]

MAX_DEPTH = 40
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
        |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
        |(?P<name>[A-Za-z_$][\w$-]*)
        |(?P<sign>&&|\|\||[=!<>]=|[-+*/%<>!()\[\].]))""",
    re.VERBOSE | re.DOTALL,
)
_COMPARED = frozenset({"==", "!=", "<", "<=", ">", ">=", "like", "contains"})
_CONSTANTS = {"true": True, "false": False}


class FilterError(ValueError):
    """The text is not a filter expression."""


class _Missing:
    """The value of a name that a message does not have."""


MISSING = _Missing()


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Predicate | None:
    """The predicate of an expression; None for an empty one. Raises `FilterError`."""
    if not expression.strip():
        return None
    reader = _Reader(_tokens(expression))
    value = reader.alternatives()
    if reader.token[0] != "end":
        raise FilterError(f"unexpected {reader.token[1]!r}")
    return lambda event: truth(value(event))


def truth(value: Any) -> bool:
    """The truth of a value that is used as a condition."""
    return value is not MISSING and bool(value)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise FilterError(f"cannot read from {text[at : at + 20]!r} on")
        tokens.append((found.lastgroup, found.group(found.lastgroup)))
        at = found.end()
    return [*tokens, ("end", "")]


class _Reader:
    """Recursive-descent parser; every method parses one grammar rule and returns the function that computes it."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def alternatives(self) -> Value:
        left = self._conditions()
        while self._took("||"):
            left = _either(left, self._conditions())
        return left

    def _conditions(self) -> Value:
        left = self._comparison()
        while self._took("&&"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Value:
        left = self._sum()
        sign = self.token[1].lower()
        if self.token[0] in ("sign", "name") and sign in _COMPARED:
            self._at += 1
            return _compared(sign, left, self._sum())
        return left

    def _sum(self) -> Value:
        left = self._term()
        while self.token[0] == "sign" and self.token[1] in ("+", "-"):
            left = _computed(self._next(), left, self._term())
        return left

    def _term(self) -> Value:
        left = self._unary()
        while self.token[0] == "sign" and self.token[1] in ("*", "/", "%"):
            left = _computed(self._next(), left, self._unary())
        return left

    def _unary(self) -> Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError("nested too deeply")
        try:
            if self._took("!"):
                return _denied(self._unary())
            if self._took("-"):
                return _computed("-", lambda _: 0, self._unary())
            return self._primary()
        finally:
            self._depth -= 1

    def _primary(self) -> Value:
        kind, text = self.token
        self._at += kind != "end"
        if kind == "number":
            number = float(text)
            return lambda _: number
        if kind == "string":
            string = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
            return lambda _: string
        if kind == "name":
            return self._path(text)
        if text == "(":
            inner = self.alternatives()
            self._expect(")")
            return inner
        raise FilterError(f"unexpected {text!r}" if text else "it ends too early")

    def _path(self, first: str) -> Value:
        if first.lower() in _CONSTANTS:
            constant = _CONSTANTS[first.lower()]
            return lambda _: constant
        keys: list[str] = []
        while self.token[1] in (".", "[") and self.token[0] == "sign":
            keys.append(self._key(self._next()))
        if first == "data" and keys:
            return lambda event: _reached(event.payload, keys)
        path = keys if first == "meta" and keys else [first, *keys]
        return lambda event: _reached(event.meta, path)

    def _key(self, opened: str) -> str:
        kind, text = self.token
        if kind not in (("name",) if opened == "." else ("string", "number")):
            raise FilterError(f"unexpected {text!r}")
        self._at += 1
        if opened == "[":
            self._expect("]")
        return text[1:-1] if kind == "string" else text

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _took(self, sign: str) -> bool:
        taken = self.token == ("sign", sign)
        self._at += taken
        return taken

    def _expect(self, sign: str) -> None:
        if not self._took(sign):
            raise FilterError(f"{sign!r} is missing")


def _reached(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            return MISSING
    return value


def _either(left: Value, right: Value) -> Value:
    return lambda event: truth(left(event)) or truth(right(event))


def _both(left: Value, right: Value) -> Value:
    return lambda event: truth(left(event)) and truth(right(event))


def _denied(value: Value) -> Value:
    return lambda event: not truth(value(event))


def _compared(sign: str, left: Value, right: Value) -> Value:
    return lambda event: _holds(sign, left(event), right(event))


def _computed(sign: str, left: Value, right: Value) -> Value:
    return lambda event: _result(sign, left(event), right(event))


_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _holds(sign: str, left: Any, right: Any) -> bool:
    if left is MISSING or right is MISSING:
        return False
    if sign == "like":
        return isinstance(left, str) and isinstance(right, str) and _like(right).fullmatch(left) is not None
    if sign == "contains":
        return _contains(left, right)
    if sign in ("==", "!="):
        return _same(left, right) == (sign == "==")
    return _is_number(left) and _is_number(right) and bool(_ORDERS[sign](left, right))


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return any(_same(item, right) for item in left)
    return isinstance(left, str) and isinstance(right, str) and right in left


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def _result(sign: str, left: Any, right: Any) -> Any:
    if not (_is_number(left) and _is_number(right)):
        return MISSING
    try:
        return _OPERATIONS[sign](left, right)
    except ArithmeticError:
        return MISSING


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@lru_cache(maxsize=1024)
def _like(pattern: str) -> re.Pattern[str]:
    """A case-insensitive pattern; `*` matches any text."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE | re.DOTALL)
