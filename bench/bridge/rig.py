"""Test rig of the bridge benchmarks: databases with users, a stub for PubNub, and a bridge in its own process.

Starts them and appends changes to the presence log. Measures nothing.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.harness.loaded import ONLINE, flag, load, options
from bench.harness.stub import Stub, stub_options
from graph_service.graph.driver import Graph, connect
from graph_service.model.sharding import ShardMap
from graph_service.settings import Settings
from graph_service.valkey.client import Valkey
from graph_service.valkey.cluster import open_valkey
from local_stack.data.generate import Population
from local_stack.engines.launcher import Engines, Options, running
from local_stack.engines.process import tail
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.store import keys
from pubnub_bridge.store.presence_log import PresenceLog

DEBOUNCE_SECONDS = 0.5
TICK_SECONDS = 0.02
SHARDS = ShardMap()


@dataclass
class Rig:
    """Everything that runs. `online` and `offline` follow the changes made so far, in order of the last change."""

    engines: Engines
    graph: Graph
    valkey: Valkey
    stub: Stub
    port: int
    online: deque[str]
    offline: deque[str]
    transitions: int = 0
    """Changes made so far."""

    @property
    def log(self) -> PresenceLog:
        return PresenceLog(valkey=self.valkey, partition=SHARDS.partition)

    def changes(self, count: int) -> list[PresenceEvent]:
        """The next changes, at the present time. Joins and leaves alternate, so the share online is constant.

        The user whose last change is oldest comes next.
        """
        now = time.time_ns() // 1_000_000
        first, self.transitions = self.transitions, self.transitions + count
        return [self._next_change(number % 2 == 0, now) for number in range(first, self.transitions)]

    def _next_change(self, joins: bool, now: int) -> PresenceEvent:
        left, joined = (self.offline, self.online) if joins else (self.online, self.offline)
        user = left.popleft()
        joined.append(user)
        return PresenceEvent(user, joins, now, SHARDS.shard(user), "join" if joins else "timeout")

    async def backlog(self) -> int:
        """Entries in all streams."""
        names = [
            key(number) for number in range(SHARDS.partitions) for key in (keys.presence_log, keys.inbox)
        ]
        return sum(await self.valkey.lengths(names))

    async def until_drained(self, seconds: float = 300.0) -> None:
        """Until every stream is empty."""
        async with asyncio.timeout(seconds):
            while await self.backlog():  # noqa: ASYNC110 - streams set no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def rig(folder: Path, population: Population, seed: int) -> AsyncIterator[Rig]:
    """Databases with the population, 30 % of it flagged online, and the stub."""
    data = await load(folder, population, seed)
    stub = Stub(round(DEBOUNCE_SECONDS * 1000))
    server, port = await stub.serve()
    async with server, running(data, Options(), environ={}) as engines:
        settings = Settings.model_validate(options(engines))
        async with connect(settings) as graph, open_valkey(engines.redis_url) as valkey:
            online = random.Random(seed).sample(population.ids, int(ONLINE * len(population.ids)))
            await flag(graph, online)
            flagged = frozenset(online)
            offline = [user for user in population.ids if user not in flagged]
            random.Random(seed + 1).shuffle(offline)
            yield Rig(engines, graph, valkey, stub, port, deque(online), deque(offline))


@asynccontextmanager
async def bridge(rig: Rig, window_s: float, log: Path) -> AsyncIterator[int]:
    """A bridge with default settings but for the debounce time. Yields its process id once it owns every partition."""
    service_options = (
        options(rig.engines)
        | stub_options(rig.port)
        | {
            "debounce_online_seconds": str(DEBOUNCE_SECONDS),
            "debounce_leave_seconds": str(DEBOUNCE_SECONDS),
            "debounce_timeout_seconds": str(DEBOUNCE_SECONDS),
            "batch_window_min_seconds": str(window_s),
        }
    )
    environment = os.environ | {name.upper(): value for name, value in service_options.items()}
    command = (sys.executable, "-m", "pubnub_bridge", "--no-api")
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=out, stderr=out)
    try:
        await _until_owned(rig, process, log)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_owned(rig: Rig, process: asyncio.subprocess.Process, log: Path) -> None:
    owners = [keys.owner(number) for number in range(SHARDS.partitions)]
    async with asyncio.timeout(60):
        while not all(await rig.valkey.values(owners)):
            if process.returncode is not None:
                raise RuntimeError(f"the bridge ended: {tail(log)}")
            await asyncio.sleep(0.1)
    await asyncio.sleep(3.0)  # a new owner waits two seconds for its first poll before it commits
