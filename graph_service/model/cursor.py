"""Opaque pagination cursors (keyset pagination): where the next page begins. Pure.

A cursor contains a digest of the filter it was made for, and is refused with any other: a page of online friends
cannot be continued as a page of all friends. A second digest detects cursors that were truncated or made up. It
contains no secret and needs none: it only names a position in the caller's own list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from graph_service.errors import BadInput

DIGEST_BYTES = 6
"""Of each digest: protects against mistakes, not against malice."""
MAX_CURSOR_CHARACTERS = 1024


class BadCursor(BadInput):
    """{field}: this is no cursor of ours, or not all of it. Send 'next' of the page before, unchanged."""

    code = "bad_cursor"


class CursorOfAnotherFilter(BadInput):
    """{field}: this cursor was made with another filter. Begin again without it, or keep the filter."""

    code = "cursor_of_another_filter"


def encode(after: str, *filters: str) -> str:
    """The cursor of the page that begins after `after`, with these filters."""
    content = _digest(*filters) + after.encode()
    return base64.urlsafe_b64encode(_digest("cursor", content.hex()) + content).rstrip(b"=").decode()


def decode(cursor: str, *filters: str, field: str = "after") -> str:
    """The `after` of a cursor. Raises `BadCursor` or `CursorOfAnotherFilter`."""
    raw = _raw(cursor)
    check, content = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
    if len(content) < DIGEST_BYTES or check != _digest("cursor", content.hex()):
        raise BadCursor(field=field)
    if content[:DIGEST_BYTES] != _digest(*filters):
        raise CursorOfAnotherFilter(field=field)
    try:
        return content[DIGEST_BYTES:].decode()
    except UnicodeDecodeError:
        raise BadCursor(field=field) from None


def _raw(cursor: str) -> bytes:
    """The bytes, empty where it is not base64; only the exact spelling that `encode` writes is accepted."""
    if len(cursor) > MAX_CURSOR_CHARACTERS or not cursor.isascii():
        return b""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor else b""


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=DIGEST_BYTES).digest()
