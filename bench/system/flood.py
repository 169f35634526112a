"""Overload generator: more requests than a server can process, with outcomes and latencies second by second.

Open loop: requests begin when they are due, whether or not earlier ones are done, each on its own open connection. A
request that finds all `MAX_CONNECTIONS` connections busy waits, and the wait counts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.harness.http_load import Connection, memory_kb
from bench.harness.measure import Stopwatch

MAX_CONNECTIONS = 1500
"""Concurrent connections."""
TIMEOUT_SECONDS = 30.0
"""Seconds after which a request is given up."""
TICK_SECONDS = 0.005

Request = Callable[[int], bytes]
"""Returns the encoded n-th request."""


@dataclass(slots=True)
class Second:
    """Figures of one second."""

    at: int
    offered: int = 0
    answered: int = 0
    """Responses with 200."""
    rejected: int = 0
    """Responses with 429 or 503 and `retryAfter`."""
    failed: int = 0
    """All others: another status, no `retryAfter`, no response within `TIMEOUT_SECONDS`, a lost connection."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    """Latency of the answered requests."""
    rejected_p99_ms: float = 0.0
    """Latency of the rejected requests."""
    memory_mib: float = 0.0
    """Memory of the server at the end of the second."""

    def row(self) -> dict[str, Any]:
        """As in the file."""
        found = asdict(self)
        return found | {
            "sent_away": found.pop("rejected"),
            "away_p99_ms": found.pop("rejected_p99_ms"),
        }


@dataclass(slots=True)
class Stopwatches:
    """Latencies of one second, or of the whole flood."""

    answered: Stopwatch = field(default_factory=Stopwatch)
    rejected: Stopwatch = field(default_factory=Stopwatch)


class Flood:
    """Open-loop callers of one server."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._pid = pid
        self._free: list[Connection] = []
        self._made = 0
        self._returned = asyncio.Event()
        self.outcomes: Counter[str] = Counter()
        """Number of requests by status, error code or exception."""
        self.total = Stopwatches()
        self._now = Stopwatches()
        self._second = Second(0)

    async def calm(self, request: Request, seconds: float, clients: int) -> float:
        """Successful requests a second in a closed loop of `clients` callers."""
        end, number, before = time.monotonic() + seconds, iter(range(10**9)), self.outcomes["200"]

        async def client() -> None:
            while time.monotonic() < end:
                await self.call(request(next(number)), time.monotonic())

        await asyncio.gather(*(client() for _ in range(clients)))
        return (self.outcomes["200"] - before) / seconds

    async def at(self, request: Request, rate: float, seconds: int) -> list[Second]:
        """Send `rate` requests a second; returns the figures of each second after the last request is done."""
        seconds_done: list[Second] = []
        began, sent, tasks = time.monotonic(), 0, set[asyncio.Task[str]]()
        for number in range(seconds):
            self._second, self._now = Second(number), Stopwatches()
            while (now := time.monotonic() - began) < number + 1:
                for _ in range(int(now * rate) - sent):
                    task = asyncio.create_task(self.call(request(sent), began + sent / rate))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                    sent += 1
                    self._second.offered += 1
                await asyncio.sleep(TICK_SECONDS)
            seconds_done.append(self._ended())
        await asyncio.gather(*tasks)
        return seconds_done

    def _ended(self) -> Second:
        second, answered, rejected = self._second, self._now.answered.timing(), self._now.rejected.timing()
        second.p50_ms, second.p99_ms, second.rejected_p99_ms = answered.p50, answered.p99, rejected.p99
        second.memory_mib = round(memory_kb(self._pid) / 1024, 1)
        return second

    async def call(self, request: bytes, due: float) -> str:
        """Send one request; returns its outcome."""
        connection = None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                connection = await self._connection()
                body = await connection.ask(request)
            outcome = self._outcome(connection.status, body)
        except (OSError, TimeoutError, ValueError) as error:
            outcome = type(error).__name__
            if connection is not None:
                connection.close()
        self._release(connection)
        self._count(outcome, time.monotonic() - due)
        return outcome

    @staticmethod
    def _outcome(status: int, body: bytes) -> str:
        if status not in {429, 503}:
            return str(status)
        problem = json.loads(body or b"{}")
        return f"{status} {problem.get('code')}" if "retryAfter" in problem else f"{status} without a time"

    def _count(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        second = self._second
        if outcome == "200":
            second.answered += 1
            self.total.answered.took(seconds)
            self._now.answered.took(seconds)
        elif outcome.startswith(("429 ", "503 ")) and not outcome.endswith("a time"):
            second.rejected += 1
            self.total.rejected.took(seconds)
            self._now.rejected.took(seconds)
        else:
            second.failed += 1

    async def _connection(self) -> Connection:
        while not self._free:
            if self._made < MAX_CONNECTIONS:
                self._made += 1
                try:
                    return await Connection.to(self._port)
                except BaseException:
                    self._made -= 1
                    raise
            self._returned.clear()
            await self._returned.wait()
        return self._free.pop()

    def _release(self, connection: Connection | None) -> None:
        if connection is None:
            return
        if connection.closed:
            self._made -= 1
        else:
            self._free.append(connection)
        self._returned.set()

    def close(self) -> None:
        for connection in self._free:
            connection.close()
