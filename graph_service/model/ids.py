"""Which user ids are accepted, and why others are not. Pure; knows no HTTP, no graph and no PubNub client.

A user id becomes part of PubNub channel names, the longest of which is ``friends.{id}``. PubNub's limit of 92
characters, its reserved characters and its reserved ending ``-pnpres`` (PubNub docs: channel names) are therefore
limits of ours, and are refused here, once, before anything is stored.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from graph_service.errors import BadInput

MAX_CHANNEL_BYTES = 92
"""PubNub's limit of a channel id, in characters."""

MAX_ID_BYTES = MAX_CHANNEL_BYTES - len("friends.")
"""84: the longest user id, in characters."""

REFUSED = ",/\\*:"
"""Characters that PubNub gives a meaning of their own in channel names. Spaces and control characters as well."""

RESERVED_ENDING = "-pnpres"
"""PubNub's ending for the presence companion of a channel."""

PATTERN = rf"^(?!\.{{1,2}}$)(?!.*{RESERVED_ENDING}$)[^,/\\*:\s\x00-\x1f\x7f-\x9f]+$"
"""The same rules for the API document (ECMA-262); `why_not` below is what decides."""


class BadId(BadInput):
    """{field}: {reason}"""

    code = "bad_id"


def why_not(user: str) -> str | None:
    """The reason why this user id is refused, or None when it is accepted."""
    if not user:
        return "is empty; a user id has 1 to 84 characters"
    if len(user) > MAX_ID_BYTES:
        return (
            f"has {len(user)} characters; the limit is {MAX_ID_BYTES}, "
            f"since 'friends.' and the id must fit into {MAX_CHANNEL_BYTES}"
        )
    if user in {".", ".."}:
        return f"'{user}' cannot stand in a URL's path"
    if user.endswith(RESERVED_ENDING):
        return f"ends in '{RESERVED_ENDING}', which PubNub reserves"
    bad = next((c for c in user if c in REFUSED or _unseen(c)), None)
    return None if bad is None else f"contains {_shown(bad)}, which PubNub refuses in channel names"


def check(user: str, field: str = "id") -> str:
    """The id itself when it is accepted; raises `BadId`, which names `field` and the limit, when not."""
    if reason := why_not(user):
        raise BadId(field=field, reason=reason)
    return user


def _unseen(c: str) -> bool:
    """Whether a character is a space, a control character or half of a surrogate pair."""
    return c.isspace() or unicodedata.category(c) in {"Cc", "Cs", "Zs", "Zl", "Zp"}


def _shown(c: str) -> str:
    return "a space" if c == " " else f"'{c}'" if c.isprintable() else f"the character U+{ord(c):04X}"


def _valid(user: str) -> str:
    if reason := why_not(user):
        raise PydanticCustomError("bad_id", "{reason}", {"reason": reason})
    return user


UserId = Annotated[
    str,
    AfterValidator(_valid),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES, "pattern": PATTERN}),
]
"""A user id as a member of a pydantic model."""
