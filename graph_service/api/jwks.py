"""An issuer's published keys (JWKS, RFC 7517): fetched, kept, rotated. Knows keys; knows no token and no caller.

Fetching never stands in the way of a known key: an old set is served while its successor is fetched. An unknown key
id makes the caller wait for one fetch, at most once in `PAUSE` for all callers together, so invented ids cannot be
used to flood the issuer. When the issuer does not answer, known keys stay valid for `STALE`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from graph_service.errors import Unavailable

FRESH_SECONDS = 600.0
"""Seconds after which a set is fetched again, beside its use. A key taken out of the set is gone after this."""
STALE_SECONDS = 24 * 3600.0
"""Seconds for which a set is used while the issuer does not answer."""
RETRY_SECONDS = 10.0
"""Seconds between two fetches, whatever callers send."""
MAX_BYTES = 256 * 1024
"""Bytes of a key set."""
SMALLEST_RSA = 2048
"""Bits (RFC 7518, 3.3)."""
ACCEPTED = frozenset({"RS256", "ES256"})

log = structlog.get_logger(__name__)

Fetch = Callable[[], Awaitable[Mapping[str, Any]]]


class KeysUnavailable(Unavailable):
    """The keys of the token issuer (JWT_JWKS_URL) cannot be fetched. Try again in a moment."""

    code = "keys_unavailable"


@dataclass
class KeySet:
    """The keys and when they were fetched. Decides without I/O."""

    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched: float = float("-inf")
    tried: float = float("-inf")

    def find(self, kid: object, now: float) -> jwt.PyJWK | None:
        """The key with this id; without an id, the only key of the set."""
        if now - self.fetched > STALE_SECONDS:
            return None
        if kid is None and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        return self.keys.get(kid) if isinstance(kid, str) else None

    def old(self, now: float) -> bool:
        """Whether a newer set should be fetched."""
        return now - self.fetched > FRESH_SECONDS and self.may_try(now)

    def may_try(self, now: float) -> bool:
        """Whether a fetch may begin."""
        return now - self.tried > RETRY_SECONDS

    def replace(self, published: Mapping[str, Any], now: float) -> None:
        """Take a new set; the keys that are not in it are gone."""
        self.keys = usable(published)
        self.fetched = now


def usable(published: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys of a set that may verify: RS256 of 2048 bits or more and ES256, for signatures, by their id."""
    found: dict[str, jwt.PyJWK] = {}
    for one in published.get("keys", ()):
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if key.algorithm_name in ACCEPTED and key.public_key_use in (None, "sig") and not _weak(key):
            found[key.key_id or ""] = key
    return found


def _weak(key: jwt.PyJWK) -> bool:
    return isinstance(key.key, RSAPublicKey) and key.key.key_size < SMALLEST_RSA


class JwksCache:
    """Keys by id, kept fresh."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ring = KeySet()
        self._running: asyncio.Task[None] | None = None

    async def find(self, kid: object) -> jwt.PyJWK | None:
        """The key with this id or None; raises `KeysUnavailable` when no set could be had at all."""
        now = self._clock()
        found = self._ring.find(kid, now)
        if found:
            if self._ring.old(now):
                self._begin()
            return found
        if self._running or self._ring.may_try(now):
            await asyncio.shield(self._begin())
        if not self._ring.keys or self._clock() - self._ring.fetched > STALE_SECONDS:
            raise KeysUnavailable
        return self._ring.find(kid, self._clock())

    def _begin(self) -> asyncio.Task[None]:
        """The running fetch, or a new one: never two at once."""
        if self._running is None:
            self._ring.tried = self._clock()
            self._running = asyncio.create_task(self._refresh(), name="jwks")
            self._running.add_done_callback(self._ended)
        return self._running

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running = None

    async def _refresh(self) -> None:
        try:
            self._ring.replace(await self._fetch(), self._clock())
        except (aiohttp.ClientError, OSError, ValueError, AttributeError, TypeError) as error:
            log.warning("keys not fetched", option="JWT_JWKS_URL", error=repr(error))
        else:
            log.info("keys fetched", option="JWT_JWKS_URL", keys=len(self._ring.keys))

    async def settled(self) -> None:
        """Wait for a running fetch."""
        if self._running:
            await asyncio.wait([self._running])

    async def close(self) -> None:
        """Give up a running fetch."""
        if self._running:
            self._running.cancel()
        await self.settled()


def from_address(session: aiohttp.ClientSession, address: str) -> Fetch:
    """A fetch of the set at `address`: 5 s at most, no redirects, no larger than `LARGEST`."""

    async def fetch() -> Mapping[str, Any]:
        limit = aiohttp.ClientTimeout(total=5)
        async with session.get(address, timeout=limit, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            text = b""
            async for chunk in answer.content.iter_chunked(2**16):
                text += chunk
                if len(text) > MAX_BYTES:
                    raise ValueError(f"the key set is larger than {MAX_BYTES} bytes")
            return _set(text)

    return fetch


def _set(text: bytes) -> Mapping[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("the key set is not a JSON object")
    return found
