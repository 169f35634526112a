"""The whole system for a benchmark: started as ``friends-presence up`` starts it, with its defaults, and its CPU time.

Knows how it is started, started again with another option, and what its processes used; measures nothing else.
"""

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
"""The benchmark's own process, which is everybody's client."""
EXTERNAL_DATABASES = frozenset({"NEO4J_URI", "REDIS_URL"})
"""Engines by URL are not ours to measure."""
IDLE_CPU_SECONDS = 0.2
"""CPU seconds in a second: Neo4j's own housekeeping is a tenth."""
MAX_IDLE_CHECKS = 30
console = Console(file=sys.stderr)


@asynccontextmanager
async def system(data: Path, connection_file: Path) -> AsyncIterator[Stack]:
    """Everything but demo people, on `data`; `connection_file` is the file that says how it is reached."""
    environ = {key: value for key, value in os.environ.items() if key not in EXTERNAL_DATABASES}
    choice = Choice(data, json=connection_file, people=0, engines=Options(), environ=environ)
    async with stack(choice, console.print) as made:
        yield made


async def restarted(made: Stack, options: Mapping[str, str]) -> None:
    """The service again, with these options as well."""
    service = made.servers[-1]
    await service.stop()
    service.engine.environ = {**service.engine.environ, **options}  # type: ignore[attr-defined]
    await service.start()


def cpu_seconds(made: Stack) -> dict[str, float]:
    """CPU seconds of every process so far."""
    pids = {server.engine.name: server.pid for server in made.servers} | {CLIENT_PROCESS: os.getpid()}
    return {name: cpu_s(pid) for name, pid in pids.items()}


def memory_mib(made: Stack) -> dict[str, int]:
    """Resident MiB of every server."""
    return {server.engine.name: round(memory_kb(server.pid) / 1024) for server in made.servers}


def versions(made: Stack | Engines) -> dict[str, str]:
    """What the engines call themselves, and the libraries that do most of the work."""
    connection_file = {
        server.engine.name: server.agent for server in made.servers if server.agent != server.engine.name
    }
    return connection_file | {
        name: version(name) for name in ("aiohttp", "neo4j", "pubnub", "redis", "uvloop")
    }


async def until_idle(made: Stack) -> None:
    """Once a whole second passed in which no server did anything: a fresh start still compares its shards with PubNub."""
    for _ in range(MAX_IDLE_CHECKS):
        before = cpu_seconds(made)
        await asyncio.sleep(1.0)
        if all(now - before[name] < IDLE_CPU_SECONDS for name, now in cpu_seconds(made).items()):
            return
