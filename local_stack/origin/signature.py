"""Request signatures, version 2 and the older version 1.

Pure. The signed text (PubNub docs, "Signature generation") of version 2 is method, publish key, path, sorted query and
body, each on its line; that of version 1 is subscribe key, publish key, path and sorted query. Clients differ: Python
signs `POST /publish` with version 1, JavaScript signs it as a GET without a body, and some percent-encode the path
only after signing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Keys:
    """The three keys of a keyset."""

    publish: str
    subscribe: str
    secret: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers; `path` and `query` are still percent-encoded."""

    method: str
    path: str
    query: str
    body: bytes = b""


def parameter(request: SignedRequest, name: str) -> str | None:
    """The first query parameter `name`, decoded, or None."""
    return next((value for key, value in _pairs(request.query) if key == name), None)


def genuine(request: SignedRequest, keys: Keys) -> bool:
    """Whether `signature` is the secret key's signature of this request."""
    signature = (parameter(request, "signature") or "").encode()
    return any(hmac.compare_digest(signature, made.encode()) for made in _acceptable(request, keys))


def timely(request: SignedRequest, *clocks: float) -> bool:
    """Whether `timestamp` is within 60 s of one of `clocks` (Unix seconds)."""
    text = parameter(request, "timestamp") or ""
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        return False
    return any(abs(int(text) - now) <= WINDOW_SECONDS for now in clocks)


def version_2(request: SignedRequest, keys: Keys, path: str | None = None) -> str:
    """The `v2.` signature of a request; `path` replaces the request's."""
    head = "\n".join((request.method, keys.publish, path or request.path, _signed_query(request.query), ""))
    return "v2." + _mac(head.encode() + request.body, keys).rstrip("=")


def version_1(request: SignedRequest, keys: Keys, path: str | None = None) -> str:
    """The unprefixed signature of older clients."""
    lines = (keys.subscribe, keys.publish, path or request.path, _signed_query(request.query))
    return _mac("\n".join(lines).encode(), keys)


def _acceptable(request: SignedRequest, keys: Keys) -> Iterator[str]:
    bare_get = SignedRequest("GET", request.path, request.query)
    for path in dict.fromkeys((request.path, unquote(request.path))):
        yield version_2(request, keys, path)
        if request.path.startswith("/publish") and request.method == "POST":
            yield version_2(bare_get, keys, path)
            yield version_1(request, keys, path)


def _mac(text: bytes, keys: Keys) -> str:
    return base64.urlsafe_b64encode(hmac.digest(keys.secret.encode(), text, hashlib.sha256)).decode()


def _pairs(query: str) -> list[tuple[str, str]]:
    split = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(key), unquote(value)) for key, _, value in split]


def _signed_query(query: str) -> str:
    pairs = sorted(pair for pair in _pairs(query) if pair[0] != "signature")
    return "&".join(f"{key}={_encoded(value)}" for key, value in pairs)


def _encoded(value: str) -> str:
    """Percent-encode everything except A-Z, a-z, 0-9, `-`, `_` and `.` (the standard library also leaves `~`)."""
    return quote(value, safe="").replace("~", "%7E")
