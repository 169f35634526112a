"""How often one caller may call. Counts in Valkey, so that all API processes agree; knows no tokens and no routes.

Without Valkey the counting fails to local by default: every process counts for itself (RATE_LIMIT_WHEN_DOWN=local),
so a caller is still limited, to at most as many times the rate as there are processes. With ``refuse`` the API
answers 503 instead.
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
"""Seconds of counting locally before Valkey is asked again."""
MAX_CONNECTIONS = 1000
"""To Valkey at the most: beyond it calls are counted locally; the library's own 100 are fewer than calls at once."""

log = structlog.get_logger(__name__)


class RateLimits:
    """One rate for users, one for addresses without a caller, one for service keys, one for the console, one for all."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic, clustered: bool = False
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

    async def count(self, kind: Kind, who: str) -> None:
        """Count one call; raises `RateLimited` over the rate, `QueueUnavailable` when it cannot be known."""
        rate = self._rates.get(kind)
        if rate is None:
            return
        try:
            limiter = self._limiter()
            allowed = await limiter.hit(rate, kind, who)
        except StorageError as error:
            limiter = self._fall_back(error)
            allowed = await limiter.hit(rate, kind, who)
        if not allowed:
            await self._over(limiter, rate, kind, who)

    def _limiter(self) -> SlidingWindowCounterRateLimiter:
        if self._clock() >= self._down_until:
            return self._shared
        if self._refuse:
            raise QueueUnavailable(reason="calls cannot be counted")
        return self._local

    def _fall_back(self, error: StorageError) -> SlidingWindowCounterRateLimiter:
        if self._clock() >= self._down_until:  # the first of all calls that were waiting
            self._down_until = self._clock() + RETRY_SECONDS
            metrics.RATE_LIMIT_FALLBACK.inc()
            log.warning("rate limits not shared", option="REDIS_URL", error=repr(error.storage_error))
        return self._limiter()

    async def _over(
        self, limiter: SlidingWindowCounterRateLimiter, rate: limits.RateLimitItem, kind: Kind, who: str
    ) -> None:
        metrics.RATE_LIMITED.labels(kind).inc()
        try:
            reset, _ = await limiter.get_window_stats(rate, kind, who)
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
    """Storage at REDIS_URL. Timeouts are short: a limit that is not known within them is counted locally."""
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
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        max_connections=MAX_CONNECTIONS,
    )
    if not isinstance(found, Storage):
        raise TypeError(f"no asynchronous storage: {type(found).__name__}")
    return found
