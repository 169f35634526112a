"""Build responses: content types, CORS headers and the error bodies that all families share (recorded)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

_JAVASCRIPT = 'text/javascript; charset="UTF-8"'


class Family(Enum):
    """An endpoint family: its Content-Type and the methods its CORS header allows."""

    MESSAGES = ("messages", _JAVASCRIPT, "GET")
    PRESENCE = ("presence", _JAVASCRIPT, "OPTIONS, GET, POST")
    GROUPS = ("groups", _JAVASCRIPT, "OPTIONS, GET, POST, DELETE")
    HISTORY = ("history", _JAVASCRIPT, "GET, POST, DELETE, OPTIONS")
    ACTIONS = ("actions", "application/json", "GET, POST, DELETE, OPTIONS")
    OBJECTS = ("objects", "application/json", "GET, POST, PATCH, DELETE, OPTIONS")
    ACCESS = ("access", _JAVASCRIPT, "GET, POST, DELETE, OPTIONS")


_ENCODER = json.JSONEncoder(separators=(",", ":"))
_HEADERS = {
    family: CIMultiDict(
        {
            "Content-Type": family.value[1],
            "Cache-Control": "no-cache",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": family.value[2],
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": "*",
        }
    )
    for family in Family
}

PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Content-Encoding, If-Match, Authorization, X-Requested-With",
    "Access-Control-Max-Age": "86400",
}


def dumps(body: Any) -> str:
    """Compact JSON."""
    return _ENCODER.encode(body)


def reply(
    body: Any, status: int = 200, family: Family = Family.MESSAGES, more: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON response of `family`; `more` are further headers."""
    return raw(dumps(body).encode(), status, family, more)


def raw(
    body: bytes, status: int = 200, family: Family = Family.MESSAGES, more: Mapping[str, str] | None = None
) -> web.Response:
    """A response whose JSON is serialized already."""
    headers = _HEADERS[family]
    return web.Response(body=body, status=status, headers={**headers, **more} if more else headers)


def refused(message: str, service: str, status: int = 400, family: Family = Family.MESSAGES) -> web.Response:
    """The error object that most families share."""
    return reply({"message": message, "error": True, "service": service, "status": status}, status, family)


def unknown_key() -> web.Response:
    """The subscribe key is not one of this origin's (recorded)."""
    return refused("Invalid Subscribe Key", "Access Manager")


def uri_too_long() -> web.Response:
    """The request line is longer than the balancer takes (recorded; about 32 KiB)."""
    body = {"status": 414, "service": "Balancer", "error": True, "message": "Request URI Too Long"}
    return reply(body, 414)
