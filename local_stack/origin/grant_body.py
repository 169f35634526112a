"""Validate the JSON body of a grant and convert it into a token's claims.

Pure: the members of a grant, the range of `ttl` and of permission bits, and the error texts (recorded or documented
where known). Time is the argument `now`; signatures are checked elsewhere.
"""

from __future__ import annotations

from typing import Any

from local_stack.origin import strict_json
from local_stack.origin.access import pattern_error
from local_stack.origin.token import KINDS, Bits, Claims

MAX_BODY_BYTES = 32 * 1024
MAX_TTL_MINUTES = 43_200
ALL_BITS = 255
_CATEGORIES = {"channels": "chan", "uuids": "uuid"}


class GrantError(ValueError):
    """A grant is rejected: `message` is the short text, `detail` the reason, `location` the place in the body."""

    def __init__(self, message: str, detail: str, location: str) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.location = location


def claims_of(body: bytes, now: int) -> Claims:
    """The claims of the grant's token, issued at `now` (Unix seconds). Raises `GrantError`."""
    document = _document(body)
    ttl: Any = document.get("ttl")
    if not _whole(ttl) or not 1 <= ttl <= MAX_TTL_MINUTES:
        raise GrantError("Invalid ttl", f"Range should be 1 to {MAX_TTL_MINUTES} minute(s).", "ttl")
    permissions = _object(document, "permissions", "permissions")
    claims = Claims(
        issued=now,
        ttl=ttl,
        resources=_bits(permissions, "resources"),
        patterns=_patterns(permissions),
        meta=_object(permissions, "meta", "permissions.meta"),
        uuid=_uuid(permissions),
        categories=_categories(permissions),
    )
    if not any((*claims.resources.values(), *claims.patterns.values(), claims.categories)):
        raise GrantError(
            "This grant contains no permissions",
            "At least one resource or pattern is expected.",
            "permissions",
        )
    return claims


def _document(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise GrantError("Request body too large", "The body may have 32 KiB.", "<root>")
    try:
        document = strict_json.loads(body)
    except strict_json.NotJsonError:
        document = None
    if not isinstance(document, dict):
        raise GrantError("Invalid JSON", "The body is not a JSON object.", "<root>")
    return document


def _object(parent: dict[str, Any], name: str, location: str) -> dict[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise GrantError("Invalid permissions", "An object is expected.", location)
    return value


def _bits(permissions: dict[str, Any], section: str) -> Bits:
    found = _object(permissions, section, f"permissions.{section}")
    return {
        short: _checked(
            _object(found, kind, f"permissions.{section}.{kind}"), f"permissions.{section}.{kind}"
        )
        for kind, short in KINDS.items()
    }


def _checked(named: dict[str, Any], location: str) -> dict[str, int]:
    for name, bits in named.items():
        if not _whole(bits) or not 0 <= bits <= ALL_BITS:
            raise GrantError(
                "Invalid permissions", f"Range should be 0 to {ALL_BITS}.", f"{location}.{name}"[:200]
            )
    return named


def _patterns(permissions: dict[str, Any]) -> Bits:
    patterns = _bits(permissions, "patterns")
    for kind, short in KINDS.items():
        for pattern in patterns[short]:
            if (error := pattern_error(pattern)) is not None:
                raise GrantError(
                    "Invalid RegExp", f"{error}.", f"permissions.patterns.{kind}.{pattern}"[:200]
                )
    return patterns


def _categories(permissions: dict[str, Any]) -> dict[str, int]:
    found = _checked(
        _object(permissions, "categories", "permissions.categories"),
        "permissions.categories",
    )
    return {_CATEGORIES[name]: bits for name, bits in found.items() if name in _CATEGORIES}


def _uuid(permissions: dict[str, Any]) -> str | None:
    uuid = permissions.get("uuid")
    if uuid is not None and not isinstance(uuid, str):
        raise GrantError("Invalid uuid", "A string is expected.", "permissions.uuid")
    return uuid


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
