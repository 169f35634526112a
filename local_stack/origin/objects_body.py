"""Validate the JSON bodies of App Context.

Pure: which members a user, a channel and a list of memberships can have and their size limits (PubNub docs, "Set user
metadata" and its siblings). Unknown members are ignored, as PubNub does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from local_stack.origin import strict_json
from local_stack.origin.objects_store import MEMBERS, OPTIONAL, Fields, Kind

MAX_BODY_BYTES = 32 * 1024
MAX_ID_CHARACTERS = 92
_LENGTHS = {"name": 2048, "externalId": 2048, "profileUrl": 2048, "email": 320, "status": 50, "type": 50}
_REFUSED = frozenset(",/\\*:")


@dataclass(frozen=True, slots=True)
class Detail:
    """One error of a request: its text, the member, and whether that is in the body, path or query."""

    message: str
    location: str
    location_type: str = "body"


class InputError(ValueError):
    """Request payload contained invalid input."""

    def __init__(self, *details: Detail) -> None:
        super().__init__(details)
        self.details = details


@dataclass(frozen=True, slots=True)
class MembershipChanges:
    """A PATCH of memberships or members: the data by the other end's id, and the ids to remove."""

    put: list[tuple[str, Fields]] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)


def entity_changes(kind: Kind, body: bytes) -> Fields:
    """The known members of a PATCH of a user or channel. Raises `InputError`."""
    return _changes(_object(body), (*MEMBERS[kind], *OPTIONAL), "")


def membership_changes(other: Kind, body: bytes) -> MembershipChanges:
    """A PATCH of memberships (`other` is channel) or members (`other` is uuid). Raises `InputError`."""
    document = _object(body)
    puts, removals = _items(document, "set"), _items(document, "delete")
    return MembershipChanges(
        put=[
            (_end(other, item, f"set[{n}]"), _changes(item, OPTIONAL, f"set[{n}]."))
            for n, item in enumerate(puts)
        ],
        remove=[_end(other, item, f"delete[{n}]") for n, item in enumerate(removals)],
    )


def checked_id(name: str, location: str, location_type: str = "path") -> str:
    """`name` if it is a valid id: 1 to 92 bytes of UTF-8 without refused characters. Raises `InputError`."""
    if 0 < len(name.encode("utf-8", "replace")) <= MAX_ID_CHARACTERS and not any(
        c in _REFUSED or c < " " for c in name
    ):
        return name
    raise InputError(Detail("Identifier is invalid.", location, location_type))


def _object(body: bytes) -> Fields:
    if len(body) > MAX_BODY_BYTES:
        raise InputError(Detail("Request body is larger than 32 KiB.", "body"))
    try:
        document = strict_json.loads(body)
    except strict_json.NotJsonError:
        document = None
    if not isinstance(document, dict):
        raise InputError(Detail("Request body is not a JSON object.", "body"))
    return document


def _items(document: Fields, name: str) -> Sequence[Fields]:
    items = document.get(name)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(Detail("A list of objects is expected.", name))
    return items


def _end(other: Kind, item: Fields, location: str) -> str:
    end = item.get(other)
    name = end.get("id") if isinstance(end, dict) else None
    if not isinstance(name, str):
        raise InputError(Detail("Identifier is missing.", f"{location}.{other}.id"))
    return checked_id(name, f"{location}.{other}.id", "body")


def _changes(document: Fields, members: Sequence[str], location: str) -> Fields:
    changes = {name: document[name] for name in members if name in document}
    details = [
        Detail(text, location + name) for name, value in changes.items() if (text := _complaint(name, value))
    ]
    if details:
        raise InputError(*details)
    return changes


def _complaint(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name == "custom":
        return _custom_complaint(value)
    if not isinstance(value, str):
        return "A string is expected."
    if len(value) > _LENGTHS.get(name, MAX_BODY_BYTES):
        return f"The value is longer than {_LENGTHS[name]} characters."
    return None


def _custom_complaint(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "An object is expected."
    if any(isinstance(inner, dict | list) for inner in value.values()):
        return "Only strings, numbers and booleans are allowed as values."
    return None
