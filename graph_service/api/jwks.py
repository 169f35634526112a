"""A cache of the token issuer's published keys (JWKS, RFC 7517): stale-while-revalidate, stale-if-error, flood guard.

A fetch never delays a known key: the old set is served while the new one is fetched. An unknown key id makes its
caller wait for one fetch, at most one in `RETRY_SECONDS` for all callers together, so invented ids cannot be used to
flood the issuer. While the issuer does not respond, known keys stay valid for `STALE_SECONDS`. Why this is not
PyJWT's client: docs/decisions/0017-kept-code.md.
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
"""The age at which a set is fetched again, in the background. A key taken out of the set is gone after this."""
STALE_SECONDS = 24 * 3600.0
"""The age up to which a set is used while the issuer does not respond."""
RETRY_SECONDS = 10.0
"""Between two fetches, whatever callers send."""
MAX_KEY_SET_BYTES = 256 * 1024
FETCH_TIMEOUT_SECONDS = 5.0
MIN_RSA_BITS = 2048
"""RFC 7518, 3.3."""
ALGORITHMS = frozenset({"RS256", "ES256"})

log = structlog.get_logger(__name__)

Fetch = Callable[[], Awaitable[Mapping[str, Any]]]


class KeysUnavailable(Unavailable):
    """The keys of the token issuer (JWT_JWKS_URL) cannot be fetched. Try again in a moment."""

    code = "keys_unavailable"


@dataclass
class KeySet:
    """The keys and when they were fetched. Pure: takes `now`, in seconds."""

    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_at: float = float("-inf")
    attempted_at: float = float("-inf")

    def find(self, kid: object, now: float) -> jwt.PyJWK | None:
        """The key with this id; without an id, the only key of the set."""
        if now - self.fetched_at > STALE_SECONDS:
            return None
        if kid is None and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        return self.keys.get(kid) if isinstance(kid, str) else None

    def is_old(self, now: float) -> bool:
        """Whether a newer set should be fetched."""
        return now - self.fetched_at > FRESH_SECONDS and self.may_fetch(now)

    def may_fetch(self, now: float) -> bool:
        """Whether a fetch may begin."""
        return now - self.attempted_at > RETRY_SECONDS

    def replace(self, published: Mapping[str, Any], now: float) -> None:
        """Adopt a new set; keys that are not in it are gone."""
        self.keys = usable(published)
        self.fetched_at = now


def usable(published: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys of a set that may verify tokens: RS256 of 2048 bits or more and ES256, for signatures, by key id."""
    found: dict[str, jwt.PyJWK] = {}
    for one in published.get("keys", ()):
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig") and not _weak(key):
            found[key.key_id or ""] = key
    return found


def _weak(key: jwt.PyJWK) -> bool:
    return isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS


class JwksCache:
    """Keys by id, refreshed in the background. `clock` is monotonic, in seconds."""

    def __init__(self, *, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys = KeySet()
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: object) -> jwt.PyJWK | None:
        """The key with this id or None. Raises `KeysUnavailable` when there is no usable set at all."""
        now = self._clock()
        found = self._keys.find(kid, now)
        if found:
            if self._keys.is_old(now):
                self._start_fetch()
            return found
        if self._fetching or self._keys.may_fetch(now):
            await asyncio.shield(self._start_fetch())
        if not self._keys.keys or self._clock() - self._keys.fetched_at > STALE_SECONDS:
            raise KeysUnavailable
        return self._keys.find(kid, self._clock())

    def _start_fetch(self) -> asyncio.Task[None]:
        """The running fetch, or a new one: never two at once."""
        if self._fetching is None:
            self._keys.attempted_at = self._clock()
            self._fetching = asyncio.create_task(self._refresh(), name="jwks")
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _refresh(self) -> None:
        try:
            self._keys.replace(await self._fetch(), self._clock())
        except (aiohttp.ClientError, OSError, ValueError, AttributeError, TypeError) as error:
            log.warning("jwks.fetch.failed", option="JWT_JWKS_URL", error=repr(error))
        else:
            log.info("jwks.fetch.finished", option="JWT_JWKS_URL", keys=len(self._keys.keys))

    async def wait_for_fetch(self) -> None:
        """Wait for a running fetch."""
        if self._fetching:
            await asyncio.wait([self._fetching])

    async def close(self) -> None:
        """Cancel a running fetch."""
        if self._fetching:
            self._fetching.cancel()
        await self.wait_for_fetch()


def fetch_from(session: aiohttp.ClientSession, url: str) -> Fetch:
    """A fetch of the set at `url`: no redirects, within `FETCH_TIMEOUT_SECONDS`, at most `MAX_KEY_SET_BYTES`."""

    async def fetch() -> Mapping[str, Any]:
        limit = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
        async with session.get(url, timeout=limit, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            text = b""
            async for chunk in response.content.iter_chunked(2**16):
                text += chunk
                if len(text) > MAX_KEY_SET_BYTES:
                    raise ValueError(f"the key set is larger than {MAX_KEY_SET_BYTES} bytes")
            return _key_set(text)

    return fetch


def _key_set(text: bytes) -> Mapping[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("the key set is not a JSON object")
    return found
