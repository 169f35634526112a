"""Paging of App Context: parse the parameters of a list request and cut the page.

Pure: `limit`, `start`, `end`, `count`, `include`, cursors, and the members `totalCount`, `next` and `prev` of a
response (recorded: a cursor is unpadded base64 of a decimal offset; `next` is present whenever the page is not empty).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

MAX_LIMIT = 100
_YES = {"1", "true"}

Part_co = TypeVar("Part_co", bound=Sized, covariant=True)


class Sliceable(Protocol[Part_co]):
    """Anything with a length that can be cut into parts."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Part_co: ...


class PageError(ValueError):
    """A paging parameter is invalid; `location` names it."""

    def __init__(self, location: str, message: str) -> None:
        super().__init__(message)
        self.location = location


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Parameters of a list request: at most `limit` items after `start` or before `end` (offsets)."""

    limit: int = MAX_LIMIT
    start: int | None = None
    end: int | None = None
    count: bool = False
    include: frozenset[str] = frozenset()


def page_request(query: Mapping[str, str]) -> PageRequest:
    """Parse the paging parameters of `query`. Raises `PageError`."""
    include = included(query)
    return PageRequest(
        limit=_limit(query.get("limit")),
        start=_offset(query, "start"),
        end=_offset(query, "end"),
        count=query.get("count", "").lower() in _YES or "totalCount" in include,
        include=include,
    )


def included(query: Mapping[str, str]) -> frozenset[str]:
    """The members requested by `include`, a comma list."""
    return frozenset(part.strip() for part in query.get("include", "").split(",") if part.strip())


def cut(items: Sliceable[Part_co], asked: PageRequest) -> tuple[Part_co, dict[str, Any]]:
    """The requested part of `items`, and the paging members of the response."""
    first, last = _bounds(len(items), asked)
    part = items[first:last]
    members: dict[str, Any] = {}
    if asked.count:
        members["totalCount"] = len(items)
    if part:
        members["next"] = cursor(first + len(part))
    if asked.start is not None or asked.end is not None:
        members["prev"] = cursor(min(first, len(items)))
    return part, members


def cursor(offset: int) -> str:
    """The opaque cursor of an offset: `10` becomes `MTA`."""
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=")


def _bounds(total: int, asked: PageRequest) -> tuple[int, int]:
    if asked.start is None and asked.end is not None:
        last = min(asked.end, total)
        return max(0, last - asked.limit), last
    first = asked.start or 0
    return first, first + asked.limit


def _limit(text: str | None) -> int:
    if text is None:
        return MAX_LIMIT
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > MAX_LIMIT:
        raise PageError("limit", f"Limit should be a number from 0 to {MAX_LIMIT}.")
    return int(text)


def _offset(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        digits = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise PageError(name, "Cursor is invalid.") from None
    if not digits.isdigit() or len(digits) > 9:
        raise PageError(name, "Cursor is invalid.")
    return int(digits)
