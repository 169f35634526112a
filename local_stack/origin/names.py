"""Which names channels and users may have (PubNub docs, "Channels" and "Users and devices").

Knows lengths and refused characters. Knows nothing of what a name is used for.
"""

from __future__ import annotations

MAX_NAME = 92
_REFUSED = frozenset("/\\*:, ")


def channel_error(name: str) -> str | None:
    """Why nothing can be published on `name`, None when it can."""
    if not name:
        return "Missing Channel"
    if len(name.removesuffix("-pnpres")) > MAX_NAME:
        return "Channel Name Too Long"
    if any(c in _REFUSED or c < " " or c == "\x7f" for c in name):
        return "Invalid Channel"
    return None
