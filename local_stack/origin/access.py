"""Access Manager v3: what a token permits, and which tokens are revoked.

Pure: permission bits, literal resources and patterns, expiry, the authorized uuid and revocation. Time is an argument,
in Unix seconds. What an operation requires is in `operations`, a token's encoding in `token`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag
from functools import lru_cache
from typing import NamedTuple

from local_stack.origin.token import Claims, TokenError, decode


class Right(IntFlag):
    """Permission bits (PubNub docs, "Permission bits"); CREATE is reserved."""

    READ = 1
    WRITE = 2
    MANAGE = 4
    DELETE = 8
    CREATE = 16
    GET = 32
    UPDATE = 64
    JOIN = 128


class Need(NamedTuple):
    """One right on one resource; `kind` is chan, grp, uuid, or cat for all resources of the kind `name`."""

    kind: str
    name: str
    right: int
    """Bits of `Right`, as a plain number: an enum's `&` costs ten times as much."""


class AccessError(Exception):
    """A token was rejected as a whole."""


class ExpiredError(AccessError):
    """Token is expired."""


class RevokedError(AccessError):
    """Token is revoked"""


@dataclass(slots=True)
class Access:
    """The access state of one keyset: `revoked` maps a token to the Unix second at which its revocation takes effect."""

    revoked: dict[str, float] = field(default_factory=dict)
    revocation_delay_s: float = 0.0

    def refused(
        self, auth: str | None, uuid: str | None, needs: Iterable[Need], secret: str, now: float
    ) -> list[Need]:
        """Those of `needs` that `auth` does not grant to `uuid`; all of them when it is no token.

        Raises `ExpiredError` and `RevokedError`.
        """
        wanted = list(needs)
        if not wanted:
            return []
        claims = self._claims(auth, secret, now)
        if claims is None or (claims.uuid is not None and claims.uuid != uuid):
            return wanted
        return [need for need in wanted if not allows(claims, need)]

    def revoke(self, token: str, secret: str, now: float) -> None:
        """Revokes `token`. Raises `TokenError`, `ExpiredError`."""
        if decode(token, secret).expired(now):
            raise ExpiredError
        self.revoked.setdefault(_same(token), now + self.revocation_delay_s)

    def _claims(self, auth: str | None, secret: str, now: float) -> Claims | None:
        if not auth:
            return None
        try:
            claims = _decoded(auth, secret)
        except TokenError:
            return None
        if claims.expired(now):
            raise ExpiredError
        if self.revoked.get(_same(auth), float("inf")) <= now:
            raise RevokedError
        return claims


def allows(claims: Claims, need: Need) -> bool:
    """Whether the literal grant on the resource, or else the patterns that match it, hold the right."""
    if need.kind == "cat":
        return bool(claims.categories.get(need.name, 0) & need.right)
    literal = claims.resources.get(need.kind, {}).get(need.name)
    if literal is not None and literal & need.right:
        return True
    patterns = claims.patterns.get(need.kind, {}).items()
    return any(bits & need.right and _matches(pattern, need.name) for pattern, bits in patterns)


def pattern_error(pattern: str) -> str | None:
    """Why `pattern` cannot be used as a regular expression, or None."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return None


def _matches(pattern: str, name: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is not None and compiled.search(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    return None if pattern_error(pattern) else re.compile(pattern)


@lru_cache(maxsize=16384)
def _decoded(token: str, secret: str) -> Claims:
    return decode(token, secret)


def _same(token: str) -> str:
    """The canonical form of a token, which clients send with and without padding."""
    return token.rstrip("=")
