"""Which names channels and users may have (PubNub docs, "Channels" and "Users and devices").

Pure: lengths and refused characters.
"""

from __future__ import annotations

import re

_REFUSED = re.compile(r"[/\\*:,\x00-\x20\x7f]")
_PRESENCE = "-pnpres"


def channel_error(name: str, most: int) -> str | None:
    """Why `name` cannot be published on, or None; `most` characters are allowed."""
    if not name:
        return "Missing Channel"
    if too_long(name, most):
        return "Channel Name Too Long"
    if _REFUSED.search(name):
        return "Invalid Channel"
    return None


def too_long(name: str | None, most: int) -> bool:
    """Whether a channel or user id has more than `most` characters; the presence suffix does not count."""
    return name is not None and len(name) > most and len(name.removesuffix(_PRESENCE)) > most
