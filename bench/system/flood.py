"""More calls than a server can answer, second by second: how each was answered, how late, and what that cost.

Open loop: calls begin when they are due, whether or not earlier ones are answered, each on a kept connection of its
own; a call that finds all `MOST` connections busy waits, and its wait counts. Knows connections and statuses; nothing
of what is asked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.harness.http_load import Connection, memory_kb
from bench.harness.measure import Stopwatch

MOST = 1500
"""Connections at once."""
PATIENCE = 30.0
"""Seconds after which a caller gives up."""
TICK = 0.005

Request = Callable[[int], bytes]
"""The whole n-th request."""


@dataclass(slots=True)
class Second:
    """What one second brought."""

    at: int
    offered: int = 0
    answered: int = 0
    """With 200."""
    sent_away: int = 0
    """With 429 or 503, and told when to come back."""
    failed: int = 0
    """Everything else: another status, no Retry-After, no answer within `PATIENCE`, a connection lost."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    """Of those answered."""
    away_p99_ms: float = 0.0
    """Of those sent away."""
    memory_mib: float = 0.0
    """Of the server, at its end."""


@dataclass(slots=True)
class Watches:
    """Latencies of one second, or of all."""

    well: Stopwatch = field(default_factory=Stopwatch)
    away: Stopwatch = field(default_factory=Stopwatch)


class Flood:
    """Callers of one server."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._pid = pid
        self._free: list[Connection] = []
        self._made = 0
        self._returned = asyncio.Event()
        self.how: Counter[str] = Counter()
        """Answers by status, or how they failed."""
        self.total = Watches()
        self._now = Watches()
        self._second = Second(0)

    async def calm(self, request: Request, seconds: float, clients: int) -> float:
        """Calls answered well a second by so many callers, each of whom asks again as soon as answered."""
        end, number, before = time.monotonic() + seconds, iter(range(10**9)), self.how["200"]

        async def client() -> None:
            while time.monotonic() < end:
                await self.call(request(next(number)), time.monotonic())

        await asyncio.gather(*(client() for _ in range(clients)))
        return (self.how["200"] - before) / seconds

    async def at(self, request: Request, rate: float, seconds: int) -> list[Second]:
        """So many calls a second for so long, second by second; returns when the last one is answered or given up."""
        told: list[Second] = []
        began, sent, tasks = time.monotonic(), 0, set[asyncio.Task[str]]()
        for number in range(seconds):
            self._second, self._now = Second(number), Watches()
            while (now := time.monotonic() - began) < number + 1:
                for _ in range(int(now * rate) - sent):
                    task = asyncio.create_task(self.call(request(sent), began + sent / rate))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                    sent += 1
                    self._second.offered += 1
                await asyncio.sleep(TICK)
            told.append(self._ended())
        await asyncio.gather(*tasks)
        return told

    def _ended(self) -> Second:
        second, well, away = self._second, self._now.well.timing(), self._now.away.timing()
        second.p50_ms, second.p99_ms, second.away_p99_ms = well.p50, well.p99, away.p99
        second.memory_mib = round(memory_kb(self._pid) / 1024, 1)
        return second

    async def call(self, request: bytes, due: float) -> str:
        """One call; how it was answered."""
        connection = None
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await self._connection()
                body = await connection.ask(request)
            how = self._judged(connection.status, body)
        except (OSError, TimeoutError, ValueError) as error:
            how = type(error).__name__
            if connection is not None:
                connection.close()
        self._give_back(connection)
        self._count(how, time.monotonic() - due)
        return how

    @staticmethod
    def _judged(status: int, body: bytes) -> str:
        if status not in {429, 503}:
            return str(status)
        told = json.loads(body or b"{}")
        return f"{status} {told.get('code')}" if "retryAfter" in told else f"{status} without a time"

    def _count(self, how: str, seconds: float) -> None:
        self.how[how] += 1
        second = self._second
        if how == "200":
            second.answered += 1
            self.total.well.took(seconds)
            self._now.well.took(seconds)
        elif how.startswith(("429 ", "503 ")) and not how.endswith("a time"):
            second.sent_away += 1
            self.total.away.took(seconds)
            self._now.away.took(seconds)
        else:
            second.failed += 1

    async def _connection(self) -> Connection:
        while not self._free:
            if self._made < MOST:
                self._made += 1
                try:
                    return await Connection.to(self._port)
                except BaseException:
                    self._made -= 1
                    raise
            self._returned.clear()
            await self._returned.wait()
        return self._free.pop()

    def _give_back(self, connection: Connection | None) -> None:
        if connection is None:
            return
        if connection.closed:
            self._made -= 1
        else:
            self._free.append(connection)
        self._returned.set()

    def close(self) -> None:
        """Ends all connections."""
        for connection in self._free:
            connection.close()
