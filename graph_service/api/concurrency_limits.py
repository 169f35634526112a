"""Concurrency limits of the API, one for each kind of request, so that none starves another (bulkheads).

The kinds: users' requests, those of the product's back end, suggestions (which traverse for long), sessions (which
wait for PubNub), the console, webhooks. The load shedding itself is decided in `load_shedding.py`; this module holds
the clocks and the waiting requests. A request whose body is still arriving has reserved its bytes but holds no slot,
so slow senders block no other, and it is cut after BODY_TIMEOUT_SECONDS.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from graph_service import metrics
from graph_service.api.problems import BodyTooLarge
from graph_service.concurrency.load_shedding import (
    MAX_RETRY_AFTER_SECONDS,
    MIN_RETRY_AFTER_SECONDS,
    Limiter,
    LimiterBounds,
)
from graph_service.errors import FriendsError
from graph_service.settings import Settings

log = structlog.get_logger(__name__)

MAX_QUEUED_REQUESTS = 250
"""Requests of one limit that wait for a slot, for TARGET_LATENCY_SECONDS at most; more are rejected with 503 at once."""
MAX_CONCURRENT_BODY_BYTES = 64 * 2**20
"""Bytes of bodies in memory at once under one limit."""
BODY_TIMEOUT_SECONDS = 30.0
"""Seconds from its admission in which a request's body must arrive, and in which a client must take what it is sent."""
LOG_INTERVAL_SECONDS = 10.0
"""Between two log lines about rejected requests; each request is counted in metrics."""


class Overloaded(FriendsError):
    """Too much is asked at this moment. Nothing was done; try again in {retry_after} s."""

    code = "overloaded"
    status = 503
    temporary = True


class BodyTooSlow(FriendsError):
    """The body did not arrive within {seconds} s."""

    code = "body_too_slow"
    status = 408


class WaitQueue:
    """The requests that wait for a slot of one limiter, first in, first out."""

    def __init__(self, *, limiter: Limiter) -> None:
        self.limiter = limiter
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> bool:
        """Take a slot, at once or after a wait; False where the queue is full or the wait reaches the target latency."""
        if not self._waiting and self.limiter.acquire():
            return True
        if not self.limiter.enqueue():
            return False
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            await asyncio.wait([slot], timeout=self.limiter.bounds.target_latency_seconds)
        except asyncio.CancelledError:
            if slot.done():  # handed over in the same turn of the loop in which the client went away
                self.limiter.release()
            raise
        finally:
            self.limiter.dequeue()
            if not slot.done():
                self._waiting.remove(slot)
            self.hand_over()
        return slot.done()

    def hand_over(self) -> None:
        """Give free slots to the requests that wait longest."""
        while self._waiting and self.limiter.acquire():
            self._waiting.popleft().set_result(None)


class Slot:
    """The right of one request to be processed, with the bytes reserved for its body."""

    def __init__(self, *, name: str, queue: WaitQueue, body_timeout_seconds: float) -> None:
        self._name = name
        self._queue = queue
        self._limiter = queue.limiter
        self._body_timeout_seconds = body_timeout_seconds
        self._body_bytes = 0
        self._held = False
        self._held_since = 0.0
        self._held_seconds = 0.0

    async def acquire(self) -> None:
        """Take the slot, after a short wait where none is free. Raises `Overloaded` where too many wait already."""
        if not await self._queue.acquire():
            self._reject("places")
        self._held, self._held_since = True, time.monotonic()

    def release(self) -> None:
        """Give the slot back; it may be acquired again."""
        if self._held:
            self._limiter.release()
            self._held_seconds += time.monotonic() - self._held_since
            self._held = False

    def close(self) -> None:
        """The request is finished: release everything, and record its duration if it was processed to the end."""
        processed = self._held
        self.release()
        self._limiter.free_body(self._body_bytes)
        if processed:
            self._limiter.record(self._held_seconds, time.monotonic())
        self._queue.hand_over()
        metrics.CONCURRENCY_LIMIT.labels(self._name).set(self._limiter.slots)

    async def read_body(self, request: web.Request, max_bytes: int) -> bytes:
        """The whole body of at most `max_bytes`. Raises `BodyTooLarge`, `BodyTooSlow` and `Overloaded`."""
        size = max_bytes if request.content_length is None else request.content_length
        if size > max_bytes:
            raise BodyTooLarge(limit=max_bytes)
        if not self._limiter.reserve_body(size):
            self._reject("bodies")
        self._body_bytes += size
        sized = request if max_bytes <= request.client_max_size else request.clone(client_max_size=max_bytes)
        if request.content.is_eof():
            return await sized.read()
        # No slot while the sender is slow: only bytes are taken, and others are processed.
        self.release()
        self._queue.hand_over()
        body = await self._arrived(sized, max_bytes)
        await self.acquire()
        return body

    async def _arrived(self, request: web.Request, max_bytes: int) -> bytes:
        try:
            async with asyncio.timeout(self._body_timeout_seconds):
                return await request.read()
        except TimeoutError:
            metrics.CUT.labels("slow body").inc()
            raise BodyTooSlow(seconds=self._body_timeout_seconds) from None
        except web.HTTPRequestEntityTooLarge:
            raise BodyTooLarge(limit=max_bytes) from None

    def _reject(self, full: str) -> None:
        """Shed the request: counted by what was full, "places" (slots) or "bodies"."""
        metrics.SHED.labels(self._name, full).inc()
        raise Overloaded(retry_after=random.randint(MIN_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS))


class ConcurrencyLimits:
    """The concurrency limits of one process, by the kind of request."""

    def __init__(self, *, settings: Settings) -> None:
        self._settings = settings
        self._queues: dict[str, WaitQueue] = {}
        self._logged_at = float("-inf")

    def build(self, name: str, max_slots: int, max_queued: int = 0) -> WaitQueue:
        """A limit of `max_slots`, for which `max_queued` may wait."""
        bounds = LimiterBounds(
            max_slots=max_slots,
            max_body_bytes=MAX_CONCURRENT_BODY_BYTES,
            target_latency_seconds=self._settings.target_latency_seconds,
            max_queued=max_queued,
        )
        queue = self._queues[name] = WaitQueue(limiter=Limiter(bounds))
        metrics.CONCURRENCY_LIMIT.labels(name).set(max_slots)
        return queue

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[Slot]:
        """Hold a slot while the block runs; a limit that was not built is like the users'. Raises `Overloaded`."""
        settings = self._settings
        queue = self._queues.get(name) or self.build(
            name, settings.max_concurrent_requests, MAX_QUEUED_REQUESTS
        )
        slot = Slot(name=name, queue=queue, body_timeout_seconds=BODY_TIMEOUT_SECONDS)
        try:
            await slot.acquire()
            yield slot
        except Overloaded:
            self._log_shedding(name)
            raise
        finally:
            slot.close()

    def _log_shedding(self, name: str) -> None:
        if time.monotonic() - self._logged_at > LOG_INTERVAL_SECONDS:
            self._logged_at = time.monotonic()
            log.warning("http.request.shed", limiter=name, slots=self._queues[name].limiter.slots)


CONCURRENCY_LIMITS = web.AppKey("concurrency_limits", ConcurrencyLimits)
SLOT = web.RequestKey("slot", Slot)
"""Where a handler finds the slot of its request, to read a body whose maximum is not the API's."""
