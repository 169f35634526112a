"""Rate limits by caller: a sliding window, counted in Valkey so that all API processes agree (the `limits` library).

Without Valkey every process counts locally (RATE_LIMIT_WHEN_DOWN=local, the default): a caller is still limited, to
at most the rate times the number of processes. With ``refuse`` the API responds 503 instead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

import limits
import structlog
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from graph_service import metrics
from graph_service.errors import QueueUnavailable, RateLimited
from graph_service.settings import Settings

Kind = Literal["user", "address", "service", "console", "all"]

RATE_LIMIT_CONSOLE = "20/second"
"""Calls with the console's key, of all operators together."""
RATE_LIMIT_ALL = ""
"""Calls with a valid token or key, of all callers together: no rate, since MAX_CONCURRENT_REQUESTS bounds them."""
RETRY_SECONDS = 5.0
"""Of counting locally before Valkey is tried again."""
MAX_CONNECTIONS = 1000
"""To Valkey. Beyond it requests are counted locally; the library's default of 100 is less than requests at once."""

TIMEOUT_SECONDS = 0.25
"""For Valkey: a count that takes longer is made locally."""

log = structlog.get_logger(__name__)


class RateLimits:
    """One rate for users, one for addresses without a caller, one for service keys, one for the console, one for all."""

    def __init__(
        self, *, settings: Settings, clustered: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        rates = {
            "user": settings.rate_limit_user,
            "address": settings.rate_limit_address,
            "service": settings.rate_limit_service,
            "console": RATE_LIMIT_CONSOLE,
            "all": RATE_LIMIT_ALL,
        }
        self._rates = {kind: limits.parse(rate) for kind, rate in rates.items() if rate}
        self._shared = SlidingWindowCounterRateLimiter(
            _storage(settings.redis_url.get_secret_value(), clustered)
        )
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._refuse = settings.rate_limit_when_down == "refuse"
        self._clock = clock
        self._down_until = float("-inf")

    async def count(self, kind: Kind, caller: str) -> None:
        """Count one request. Raises `RateLimited` over the rate, `QueueUnavailable` where it cannot be counted."""
        rate = self._rates.get(kind)
        if rate is None:
            return
        try:
            limiter = self._limiter()
            allowed = await limiter.hit(rate, kind, caller)
        except StorageError as error:
            limiter = self._fall_back(error)
            allowed = await limiter.hit(rate, kind, caller)
        if not allowed:
            await self._raise_limited(limiter, rate, kind, caller)

    def _limiter(self) -> SlidingWindowCounterRateLimiter:
        if self._clock() >= self._down_until:
            return self._shared
        if self._refuse:
            raise QueueUnavailable(reason="calls cannot be counted")
        return self._local

    def _fall_back(self, error: StorageError) -> SlidingWindowCounterRateLimiter:
        if self._clock() >= self._down_until:  # only the first of all requests that were waiting
            self._down_until = self._clock() + RETRY_SECONDS
            metrics.RATE_LIMIT_FALLBACK.inc()
            log.warning(
                "http.rate_limit.counting_locally", option="REDIS_URL", error=repr(error.storage_error)
            )
        return self._limiter()

    async def _raise_limited(
        self, limiter: SlidingWindowCounterRateLimiter, rate: limits.RateLimitItem, kind: Kind, caller: str
    ) -> None:
        metrics.RATE_LIMITED.labels(kind).inc()
        try:
            reset, _ = await limiter.get_window_stats(rate, kind, caller)
        except StorageError:
            reset = 0.0
        raise RateLimited(retry_after=max(1, math.ceil(reset - time.time())))

    async def close(self) -> None:
        """Close the connections to Valkey."""
        storage = self._shared.storage
        connection = getattr(getattr(storage, "bridge", None), "storage", None)
        if connection is not None:
            await connection.aclose()


def _storage(address: str, clustered: bool) -> Storage:
    """Counters at REDIS_URL."""
    scheme, _, where = address.partition("://")
    secure = {"ssl": True} if clustered and scheme == "rediss" else {}
    if clustered:
        address = f"redis+cluster://{where.partition('/')[0]}"
    found = storage_from_string(
        f"async+{address}",
        **secure,
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="fp:limit",
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        max_connections=MAX_CONNECTIONS,
    )
    if not isinstance(found, Storage):
        raise TypeError(f"not an asynchronous storage: {type(found).__name__}")
    return found
