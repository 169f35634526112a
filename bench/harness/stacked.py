"""The whole system as ``friends-presence up`` starts it with its defaults, and the CPU time and memory of its processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from bench.harness.http_load import cpu_s, memory_kb
from local_stack.engines.launcher import Engines, Options
from local_stack.stack.up import Choice, Stack, stack

CLIENT_PROCESS = "clients"
"""The benchmark's own process, which runs all clients."""
EXTERNAL_DATABASES = frozenset({"NEO4J_URI", "REDIS_URL"})
"""External databases are not measured."""
IDLE_CPU_SECONDS = 0.2
"""CPU seconds in a second below which a process is idle. Neo4j's housekeeping needs a tenth."""
MAX_IDLE_CHECKS = 30
console = Console(file=sys.stderr)


@asynccontextmanager
async def system(data: Path, connection_file: Path) -> AsyncIterator[Stack]:
    """The system without demo users, on `data`. Its addresses are written to `connection_file`."""
    environ = {key: value for key, value in os.environ.items() if key not in EXTERNAL_DATABASES}
    choice = Choice(data, json=connection_file, people=0, engines=Options(), environ=environ)
    async with stack(choice, console.print) as made:
        yield made


async def restarted(made: Stack, options: Mapping[str, str]) -> None:
    """Restart the service with further options."""
    service = made.servers[-1]
    await service.stop()
    service.engine.environ = {**service.engine.environ, **options}  # type: ignore[attr-defined]
    await service.start()


def cpu_seconds(made: Stack) -> dict[str, float]:
    """CPU seconds used so far by each process."""
    pids = {server.engine.name: server.pid for server in made.servers} | {CLIENT_PROCESS: os.getpid()}
    return {name: cpu_s(pid) for name, pid in pids.items()}


def memory_mib(made: Stack) -> dict[str, int]:
    """Resident memory of each server."""
    return {server.engine.name: round(memory_kb(server.pid) / 1024) for server in made.servers}


def versions(made: Stack | Engines) -> dict[str, str]:
    """Versions of the databases and of the main libraries."""
    found = {
        server.engine.name: server.agent for server in made.servers if server.agent != server.engine.name
    }
    return found | {name: version(name) for name in ("aiohttp", "neo4j", "pubnub", "redis", "uvloop")}


async def until_idle(made: Stack) -> None:
    """Wait until no server uses CPU for a second. After a start the bridge still reconciles its shards."""
    for _ in range(MAX_IDLE_CHECKS):
        before = cpu_seconds(made)
        await asyncio.sleep(1.0)
        if all(now - before[name] < IDLE_CPU_SECONDS for name, now in cpu_seconds(made).items()):
            return
