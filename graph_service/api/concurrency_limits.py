"""The rooms that calls are let into, so that none starves another: users' calls, those of the product's back end,
suggestions (which walk for long), sessions (which wait for PubNub), the console, webhooks.

Knows requests and clocks; who is let in is decided by `shedding`. A call whose body is still on its way takes up its
space but no place, so that slow senders keep nobody out, and is cut after BODY_TIMEOUT_SECONDS.
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
from graph_service.concurrency.load_shedding import LATEST, SOONEST, Limiter, LimiterBounds
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
"""Seconds between two log lines about calls that are sent away; each call is counted."""


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
    """Those who wait for a place of one room, in order of coming."""

    def __init__(self, room: Limiter) -> None:
        self.room = room
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def place(self) -> bool:
        """Take a place, at once or after a wait; False where the line is full or the wait too long."""
        if not self._waiting and self.room.enter():
            return True
        if not self.room.line_up():
            return False
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await asyncio.wait([mine], timeout=self.room.bounds.patience)
        except asyncio.CancelledError:
            if mine.done():
                self.room.leave()
            raise
        finally:
            self.room.leave_line()
            if not mine.done():
                self._waiting.remove(mine)
            self.move()
        return mine.done()

    def move(self) -> None:
        """Who is first has the place that has become free."""
        while self._waiting and self.room.enter():
            self._waiting.popleft().set_result(None)


class Slot:
    """One call in its room."""

    def __init__(self, name: str, line: WaitQueue, body_timeout_seconds: float) -> None:
        self._name = name
        self._line = line
        self._room = line.room
        self._body_seconds = body_timeout_seconds
        self._held = 0
        self._inside = False
        self._since = 0.0
        self._spent = 0.0

    async def enter(self) -> None:
        """Take a place, after a short wait where none is free. Raises `Overloaded` where too many wait already."""
        if not await self._line.place():
            self._refuse("places")
        self._inside, self._since = True, time.monotonic()

    def step_out(self) -> None:
        """Give the place back for the time being."""
        if self._inside:
            self._room.leave()
            self._spent += time.monotonic() - self._since
            self._inside = False

    def end(self) -> None:
        """The call is answered."""
        answered = self._inside
        self.step_out()
        self._room.drop(self._held)
        if answered:
            self._room.took(self._spent, time.monotonic())
        self._line.move()
        metrics.CONCURRENCY_LIMIT.labels(self._name).set(self._room.places)

    async def body(self, request: web.Request, most: int) -> bytes:
        """The whole body of at most `most` bytes. Raises `BodyTooLarge`, `BodyTooSlow` and `Overloaded`."""
        size = most if request.content_length is None else request.content_length
        if size > most:
            raise BodyTooLarge(limit=most)
        if not self._room.hold(size):
            self._refuse("bodies")
        self._held += size
        roomy = request if most <= request.client_max_size else request.clone(client_max_size=most)
        if request.content.is_eof():
            return await roomy.read()
        self.step_out()
        self._line.move()
        body = await self._awaited(roomy, most)
        await self.enter()
        return body

    async def _awaited(self, request: web.Request, most: int) -> bytes:
        try:
            async with asyncio.timeout(self._body_seconds):
                return await request.read()
        except TimeoutError:
            metrics.CUT.labels("slow body").inc()
            raise BodyTooSlow(seconds=self._body_seconds) from None
        except web.HTTPRequestEntityTooLarge:
            raise BodyTooLarge(limit=most) from None

    def _refuse(self, full: str) -> None:
        metrics.SHED.labels(self._name, full).inc()
        raise Overloaded(retry_after=random.randint(SOONEST, LATEST))


class ConcurrencyLimits:
    """The rooms of one process, by name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lines: dict[str, WaitQueue] = {}
        self._told_at = float("-inf")

    def build(self, name: str, places: int, line: int = 0) -> WaitQueue:
        """A room of so many places, for which so many may wait."""
        bounds = LimiterBounds(places, MAX_CONCURRENT_BODY_BYTES, self._settings.target_latency_seconds, line)
        made = self._lines[name] = WaitQueue(Limiter(bounds))
        metrics.CONCURRENCY_LIMIT.labels(name).set(places)
        return made

    @asynccontextmanager
    async def visit(self, name: str) -> AsyncIterator[Slot]:
        """Be in a room while the block runs; one that was not built is like the API's. Raises `Overloaded`."""
        settings = self._settings
        line = self._lines.get(name) or self.build(
            name, settings.max_concurrent_requests, MAX_QUEUED_REQUESTS
        )
        visit = Slot(name, line, BODY_TIMEOUT_SECONDS)
        try:
            await visit.enter()
            yield visit
        except Overloaded:
            self._tell(name)
            raise
        finally:
            visit.end()

    def _tell(self, name: str) -> None:
        if time.monotonic() - self._told_at > LOG_INTERVAL_SECONDS:
            self._told_at = time.monotonic()
            log.warning("calls are sent away", room=name, places=self._lines[name].room.places)


CONCURRENCY_LIMITS = web.AppKey("rooms", ConcurrencyLimits)
SLOT = web.RequestKey("visit", Slot)
"""Where a handler finds its own visit, to read a body of a size of its own."""
