"""Access Manager v3 tokens: claims and encoding.

A token is base64url (padded: the Python client does not add padding) of a CBOR map with byte-string keys
(recorded): `v`, `t` seconds, `ttl` minutes, `res` and `pat` (kind -> name -> bits), `meta`, optional `uuid` and
`cat`, `sig`. The signature's construction is private to PubNub and to this origin, which is the only one that verifies
it. Pure; revocation is in `access`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2

KINDS = {"channels": "chan", "groups": "grp", "spaces": "spc", "users": "usr", "uuids": "uuid"}
MAX_TOKEN_BYTES = 64 * 1024

Bits = dict[str, dict[str, int]]


class TokenError(ValueError):
    """The token cannot be parsed, or is not signed with this keyset's secret."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token permits: `resources` and `patterns` map a kind (`chan`, `grp`, ...) to names and bits."""

    issued: int
    ttl: int
    resources: Bits
    patterns: Bits
    meta: dict[str, Any] = field(default_factory=dict)
    uuid: str | None = None
    categories: dict[str, int] = field(default_factory=dict)

    def expired(self, now: float) -> bool:
        """Whether `ttl` minutes have passed since it was issued; `now` in Unix seconds."""
        return now >= self.issued + self.ttl * 60


def encode(claims: Claims, secret: str) -> str:
    """The token that carries `claims`, signed with the keyset's secret key."""
    body: dict[bytes, Any] = {
        b"v": 2,
        b"t": claims.issued,
        b"ttl": claims.ttl,
        b"res": _encoded_bits(claims.resources),
        b"pat": _encoded_bits(claims.patterns),
        b"meta": claims.meta,
    }
    if claims.categories:
        body[b"cat"] = {name.encode(): bits for name, bits in claims.categories.items()}
    if claims.uuid is not None:
        body[b"uuid"] = claims.uuid
    body[b"sig"] = _signature(body, secret)
    return base64.urlsafe_b64encode(cbor2.dumps(body)).decode()


def decode(token: str, secret: str) -> Claims:
    """The claims of `token`. Raises `TokenError` when it is no token of this keyset."""
    body = _opened(token)
    given = body.pop(b"sig", None)
    try:
        genuine = isinstance(given, bytes) and hmac.compare_digest(given, _signature(body, secret))
        return _claims(body) if genuine else _refuse()
    except (KeyError, TypeError, ValueError, AttributeError, cbor2.CBORError):
        raise TokenError("Invalid token") from None


def _refuse() -> Claims:
    raise TokenError("Invalid token")


def _opened(token: str) -> dict[Any, Any]:
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("Invalid token")
    try:
        raw = base64.b64decode(token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4), b"-_", validate=True)
        body = cbor2.loads(raw)
    except (
        binascii.Error,
        ValueError,
        cbor2.CBORError,
        RecursionError,
        OverflowError,
        TypeError,
        MemoryError,
    ):
        raise TokenError("Invalid token") from None
    if not isinstance(body, dict):
        raise TokenError("Invalid token")
    return body


def _claims(body: Mapping[Any, Any]) -> Claims:
    return Claims(
        issued=body[b"t"],
        ttl=body[b"ttl"],
        resources=_decoded_bits(body[b"res"]),
        patterns=_decoded_bits(body[b"pat"]),
        meta=dict(body[b"meta"]),
        uuid=body.get(b"uuid"),
        categories={name.decode(): bits for name, bits in body.get(b"cat", {}).items()},
    )


def _encoded_bits(bits: Bits) -> dict[bytes, dict[str, int]]:
    """All five kinds, also empty ones: the JavaScript client requires the objects."""
    return {kind.encode(): dict(bits.get(kind, {})) for kind in KINDS.values()}


def _decoded_bits(encoded: Mapping[bytes, Mapping[str, int]]) -> Bits:
    return {kind.decode(): dict(names) for kind, names in encoded.items()}


def _signature(body: Mapping[bytes, Any], secret: str) -> bytes:
    return hmac.digest(secret.encode(), cbor2.dumps(dict(body), canonical=True), hashlib.sha256)
