"""Stream filters. TEMPORARY."""

from __future__ import annotations

from collections.abc import Callable

from local_stack.origin.envelope import Event

Predicate = Callable[[Event], bool]


class FilterError(ValueError):
    """The expression is not one."""


def compiled(expression: str) -> Predicate | None:
    """The predicate of an expression, none for an empty one."""
    del expression
    return None
