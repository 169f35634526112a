"""What the bridge's benchmark runs on: engines with people, a stub for PubNub, and a bridge as a process of its own.

Knows how they are started and how changes are put into the log; measures nothing.
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
from bench.harness.stub import Stub
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

HOLD_S = 0.5
TICK_S = 0.02
SHARDS = ShardMap()


@dataclass
class Rig:
    """Everything that runs, and who is there and who is not by the changes made so far, longest first."""

    engines: Engines
    graph: Graph
    valkey: Valkey
    stub: Stub
    port: int
    there: deque[str]
    away: deque[str]
    turned: int = 0

    @property
    def log(self) -> PresenceLog:
        """Where changes go."""
        return PresenceLog(valkey=self.valkey, partition=SHARDS.partition)

    def changes(self, number: int) -> list[PresenceEvent]:
        """As many come as go, now, so that the share online stays; whoever did neither for longest has the turn."""
        now = time.time_ns() // 1_000_000
        first, self.turned = self.turned, self.turned + number
        return [self._turned(turn % 2 == 0, now) for turn in range(first, self.turned)]

    def _turned(self, comes: bool, now: int) -> PresenceEvent:
        left, joined = (self.away, self.there) if comes else (self.there, self.away)
        user = left.popleft()
        joined.append(user)
        return PresenceEvent(user, comes, now, SHARDS.shard(user), "join" if comes else "timeout")

    async def backlog(self) -> int:
        """Entries of all streams that are not done."""
        names = [
            key(number) for number in range(SHARDS.partitions) for key in (keys.presence_log, keys.inbox)
        ]
        return sum(await self.valkey.lengths(names))

    async def until_done(self, seconds: float = 300.0) -> None:
        """Until every stream is empty."""
        async with asyncio.timeout(seconds):
            while await self.backlog():  # noqa: ASYNC110 - streams set no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def rig(folder: Path, population: Population, seed: int) -> AsyncIterator[Rig]:
    """Engines with the population, 30 % of it flagged online, and the stub."""
    data = await load(folder, population, seed)
    stub = Stub(round(HOLD_S * 1000))
    server, port = await stub.serve()
    async with server, running(data, Options(), environ={}) as engines:
        settings = Settings.model_validate(options(engines))
        async with connect(settings) as graph, open_valkey(engines.redis_url) as valkey:
            online = random.Random(seed).sample(population.ids, int(ONLINE * len(population.ids)))
            await flag(graph, online)
            there = frozenset(online)
            away = [user for user in population.ids if user not in there]
            random.Random(seed + 1).shuffle(away)
            yield Rig(engines, graph, valkey, stub, port, deque(online), deque(away))


@asynccontextmanager
async def bridge(rig: Rig, window_s: float, log: Path) -> AsyncIterator[int]:
    """A bridge as users run it, but for the hold; yields its process id once it owns every partition."""
    given = options(rig.engines) | {
        "pubnub_origin": f"127.0.0.1:{rig.port}",
        "pubnub_tls": "false",
        "pubnub_subscribe_key": "demo",
        "pubnub_publish_key": "demo",
        "access_manager": "off",
        "app_context": "off",
        "accuracy_sample": "0",
        "debounce_online_seconds": str(HOLD_S),
        "debounce_leave_seconds": str(HOLD_S),
        "debounce_timeout_seconds": str(HOLD_S),
        "batch_window_min_seconds": str(window_s),
    }
    environment = os.environ | {name.upper(): value for name, value in given.items()}
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
    await asyncio.sleep(3.0)  # a new owner waits two seconds for its first poll before it settles
