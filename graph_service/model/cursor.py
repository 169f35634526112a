"""Where the next page begins, as an opaque word. Pure; knows no page, no HTTP and no graph.

A cursor remembers the filter it was made with, as a digest, and is refused with any other: a page of online friends
cannot be continued as a page of all friends. A second digest finds cursors that were cut or typed. There is no
secret in it and none is needed: it only says where in the caller's own list to go on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from graph_service.errors import BadInput

DIGEST = 6
"""Bytes of each digest: guards against mistakes, not against malice."""
MAX_CURSOR = 1024
"""Characters."""


class BadCursor(BadInput):
    """{field}: this is no cursor of ours, or not all of it. Send 'next' of the page before, unchanged."""

    code = "bad_cursor"


class CursorOfAnotherFilter(BadInput):
    """{field}: this cursor was made with another filter. Begin again without it, or keep the filter."""

    code = "cursor_of_another_filter"


def encode(after: str, *filters: str) -> str:
    """The cursor of the page that begins behind `after` with these filters."""
    kept = _digest(*filters) + after.encode()
    return base64.urlsafe_b64encode(_digest("cursor", kept.hex()) + kept).rstrip(b"=").decode()


def decode(cursor: str, *filters: str, field: str = "after") -> str:
    """What `encode` was given; raises `BadCursor` or `CursorOfAnotherFilter`."""
    raw = _raw(cursor)
    check, kept = raw[:DIGEST], raw[DIGEST:]
    if len(kept) < DIGEST or check != _digest("cursor", kept.hex()):
        raise BadCursor(field=field)
    if kept[:DIGEST] != _digest(*filters):
        raise CursorOfAnotherFilter(field=field)
    try:
        return kept[DIGEST:].decode()
    except UnicodeDecodeError:
        raise BadCursor(field=field) from None


def _raw(cursor: str) -> bytes:
    """The bytes, or none for what is not base64; only the one spelling that `encode` writes is accepted."""
    if len(cursor) > MAX_CURSOR or not cursor.isascii():
        return b""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor else b""


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=DIGEST).digest()
