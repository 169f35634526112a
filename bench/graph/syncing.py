"""Sync benchmark: ``GET`` and ``POST /v1/sync`` of users with many friends, over HTTP, at half of the highest rate.

The service runs in its own process, bridge included, with a stub for PubNub.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from rich.table import Table

from bench.harness import measure
from bench.harness.http_load import Connection, cpu_s
from bench.harness.loaded import options
from bench.harness.stub import Stub, stub_options
from graph_service.api.dev_tokens import mint
from graph_service.settings import Settings
from local_stack.engines.launcher import Engines
from local_stack.engines.ports import free_port
from local_stack.engines.process import tail

CONCURRENT_CALLERS = 8
"""Concurrent callers while the highest rate is measured."""
TOKEN_SECONDS = 3600
CALLS = (("GET", "p50 <= 6 ms, p99 <= 30 ms"), ("POST", ""))


@dataclass(frozen=True, slots=True)
class Figures:
    """One call at half load."""

    what: str
    taken: float
    """Highest rate: calls a second in a closed loop."""
    p50: float
    p99: float
    """Milliseconds at half of that rate, from the moment the call was due."""
    cpu_ms: float
    """CPU milliseconds of the service's process per call."""
    budget: str


@dataclass(slots=True)
class SyncCaller:
    """Sends syncs of users in round robin, on as many open connections as are needed."""

    port: int
    requests: list[bytes]
    free: list[Connection]

    async def ask(self, number: int) -> None:
        """One call. Raises RuntimeError for an unsuccessful response."""
        connection = self.free.pop() if self.free else await Connection.to(self.port)
        await connection.ask(self.requests[number % len(self.requests)])
        if connection.status not in {200, 202, 204}:
            raise RuntimeError(f"response {connection.status}")
        self.free.append(connection)


async def measured(engines: Engines, users: Sequence[str], log: Path, seconds: float) -> list[Figures]:
    """Measure both calls, one after the other."""
    found = []
    async with _service(engines, log) as (port, pid, settings):
        tokens = [mint(settings, user, time.time(), TOKEN_SECONDS) for user in users]
        for method, budget in CALLS:
            requests = [_request(method, token) for token in tokens]
            found.append(await _one(SyncCaller(port, requests, []), pid, (method, budget), seconds))
    return found


def _request(method: str, token: str) -> bytes:
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    head = f"{method} /v1/sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{length}\r\n"
    return head.encode()


async def _one(caller: SyncCaller, pid: int, what: tuple[str, str], seconds: float) -> Figures:
    method, budget = what
    await _as_fast(caller, seconds / 2)
    rate = await _as_fast(caller, seconds / 2)
    numbers, used = itertools.count(), cpu_s(pid)
    timing = await measure.at_rate(lambda _: caller.ask(next(numbers)), rate / 2, seconds)
    cpu = 1000 * (cpu_s(pid) - used) / timing.calls
    for connection in caller.free:
        connection.close()
    name = f"{method} /v1/sync, 1,000 friends, at half load"
    return Figures(name, rate, timing.p50, timing.p99, cpu, budget)


async def _as_fast(caller: SyncCaller, seconds: float) -> float:
    """Calls a second in a closed loop of `CONCURRENT_CALLERS`."""
    began, calls = time.perf_counter(), 0

    async def client(first: int) -> None:
        nonlocal calls
        number = first
        while time.perf_counter() - began < seconds:
            await caller.ask(number)
            number += CONCURRENT_CALLERS
            calls += 1

    await asyncio.gather(*(client(first) for first in range(CONCURRENT_CALLERS)))
    return calls / (time.perf_counter() - began)


@asynccontextmanager
async def _service(engines: Engines, log: Path) -> AsyncIterator[tuple[int, int, Settings]]:
    """API and bridge in one process without rate limits. Yields port, process id and the settings to sign tokens."""
    server, stub_port = await Stub().serve()
    port, secret = free_port(), secrets.token_urlsafe(32)
    service_options = (
        options(engines)
        | stub_options(stub_port)
        | {
            "port": str(port),
            "jwt_secret": secret,
            "rate_limit_address": "",
            "rate_limit_user": "",
        }
    )
    environment = os.environ | {name.upper(): value for name, value in service_options.items()}
    settings = Settings.model_validate(options(engines) | {"jwt_secret": SecretStr(secret)})
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pubnub_bridge", env=environment, stdout=out, stderr=out
        )
    try:
        async with server:
            await _until_ready(port, process, log)
            yield port, process.pid, settings
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_ready(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(90):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"the service ended: {tail(log)}")
            try:
                connection = await Connection.to(port)
                await connection.get("/livez")
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return connection.close()


def table(syncs: Sequence[Figures]) -> Table:
    shown = Table("call", "highest calls/s", "p50 ms", "p99 ms", "CPU ms", "budget")
    for one in syncs:
        cells = (f"{one.taken:,.0f}", f"{one.p50:.2f}", f"{one.p99:.2f}", f"{one.cpu_ms:.2f}")
        shown.add_row(one.what, *cells, one.budget)
    return shown
