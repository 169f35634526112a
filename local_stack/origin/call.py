"""One parsed request: its keyset, its caller, its names and parameters.

In paths and queries `,` separates names, the names are percent-encoded, and `,` alone means none (PubNub docs and SDK
traffic).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiohttp import web

if TYPE_CHECKING:
    from local_stack.origin.keyset import Keyset

Pairs = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Call:
    """A request to one keyset.

    `now` is in Unix seconds; `target` is the path and query as they came; `raw` holds the undecoded parts of the path
    by the names of the route's pattern; `pairs` are the decoded query parameters in their order, `query` the same as a
    dict (the last of repeated ones wins). `incoming` is aiohttp's request, where it was aiohttp that read it.
    """

    keyset: Keyset
    now: float
    method: str
    target: str
    raw: dict[str, str]
    pairs: Pairs
    query: dict[str, str]
    incoming: web.Request | None = None

    @property
    def request(self) -> web.Request:
        """aiohttp's request, for its body and headers."""
        if self.incoming is None:
            raise LookupError("a request of the fast lane has no body")
        return self.incoming

    @property
    def uuid(self) -> str | None:
        """The `uuid` that the caller claims; None when there is none."""
        return self.query.get("uuid") or None

    @property
    def auth(self) -> str | None:
        """The token or legacy key of the request."""
        return self.query.get("auth") or None

    def name(self, part: str) -> str:
        """The decoded value of one part of the path."""
        text = self.raw[part]
        return unquote(text) if "%" in text else text

    def names(self, part: str) -> list[str]:
        """The decoded names of a comma list in the path, in order, without empty ones and repeats."""
        text = self.raw[part]
        if "," not in text:
            return [unquote(text) if "%" in text else text]
        return list(dict.fromkeys(unquote(name) for name in text.split(",") if name))

    def listed(self, parameter: str) -> list[str]:
        """The names of a comma list in the query, such as `channel-group`, without empty ones and repeats."""
        text = self.query.get(parameter)
        return list(dict.fromkeys(name for name in text.split(",") if name)) if text else []

    def all(self, parameter: str) -> list[str]:
        """All values of a repeatable parameter, such as `sort`."""
        return [value for name, value in self.pairs if name == parameter]


CALL: Final = web.RequestKey("origin.call", Call)
"""Key of the call on its request: `call: Call = request[CALL]`."""

PARTS: Final = web.RequestKey("origin.parts", dict[str, str])
"""Key of the raw parts of the path, for requests that belong to no keyset."""


@lru_cache(maxsize=512)
def parsed_query(text: str) -> Pairs:
    """The decoded parameters of a raw query; what cannot be decoded stays as text and is never an error.

    Cached, since a publisher's are the same with each of its messages.
    """
    pairs = []
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_decoded(name), _decoded(value)))
    return tuple(pairs)


def _decoded(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text) if "%" in text else text
