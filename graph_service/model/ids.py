"""Validation of user ids, with the reason why one is refused. Pure.

A user id becomes part of PubNub channel names, the longest of which is ``friends.{id}``. PubNub's limit of 92
characters, its reserved characters and its reserved ending ``-pnpres`` (PubNub docs: channel names) therefore apply,
and are checked here, once, before anything is stored.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from graph_service.errors import BadInput

MAX_CHANNEL_CHARACTERS = 92
"""PubNub's limit of a channel name."""

MAX_ID_CHARACTERS = MAX_CHANNEL_CHARACTERS - len("friends.")
"""84."""

REFUSED = ",/\\*:"
"""Characters that PubNub reserves in channel names. Spaces and control characters are refused as well."""

RESERVED_ENDING = "-pnpres"
"""PubNub's ending for the presence companion of a channel."""

PATTERN = rf"^(?!\.{{1,2}}$)(?!.*{RESERVED_ENDING}$)[^,/\\*:\s\x00-\x1f\x7f-\x9f]+$"
"""The same rules for the API document (ECMA-262); `why_not` decides."""


class BadId(BadInput):
    """{field}: {reason}"""

    code = "bad_id"


def why_not(user: str) -> str | None:
    """The reason why this user id is refused, or None where it is accepted."""
    if not user:
        return "is empty; a user id has 1 to 84 characters"
    if len(user) > MAX_ID_CHARACTERS:
        return (
            f"has {len(user)} characters; the limit is {MAX_ID_CHARACTERS}, "
            f"since 'friends.' and the id must fit into {MAX_CHANNEL_CHARACTERS}"
        )
    if user in {".", ".."}:
        return f"'{user}' cannot stand in a URL's path"
    if user.endswith(RESERVED_ENDING):
        return f"ends in '{RESERVED_ENDING}', which PubNub reserves"
    bad = next((c for c in user if c in REFUSED or _is_invisible(c)), None)
    return None if bad is None else f"contains {_shown(bad)}, which PubNub refuses in channel names"


def check(user: str, field: str = "id") -> str:
    """The id itself. Raises `BadId`, with `field` and the reason, where it is refused."""
    if reason := why_not(user):
        raise BadId(field=field, reason=reason)
    return user


def _is_invisible(c: str) -> bool:
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
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS, "pattern": PATTERN}),
]
"""A user id as a member of a pydantic model."""
