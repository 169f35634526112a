"""The whole system as processes that may be killed, frozen and brought back. Knows how each is started, not what it does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos import valkey_cluster
from chaos.small_disks import small_disks
from chaos.valkey_cluster import ValkeyCluster
from graph_service.graph import migrations
from graph_service.graph.driver import connect
from graph_service.settings import Settings
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.launcher import Engines, Options, started
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Process, Program
from local_stack.engines.server import Server
from local_stack.stack import credentials
from local_stack.stack.credentials import Access
from local_stack.stack.origin_server import OriginEngine
from local_stack.stack.service_server import ServiceEngine

HOLD = 1.0
BRIDGES = 3
WATCH = 0.3
"""Seconds between two looks of whoever restarts what ended."""


class Api(ServiceEngine):
    """The API alone."""

    async def prepare(self, port: int) -> Program:
        """See `Engine`."""
        program = await super().prepare(port)
        return Program("API", [*program.command, "--api-only"], self.log, 10.0, program.environ)


class Part:
    """One process of the system."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.respawned = 0
        self.last_words = ""
        """The last line of its log when it last ended by itself."""
        self.wanted = True
        """False while it is down on purpose."""
        self._server = server

    @property
    def process(self) -> Process | None:
        """Its present run."""
        with suppress(ProcessLookupError):
            return self._server.process
        return None

    async def start(self) -> None:
        """Returns once it answers."""
        await self._server.start()
        self.wanted = True

    async def kill(self) -> None:
        """SIGKILL."""
        self.wanted = False
        await self._server.kill()

    async def stop(self) -> None:
        """A clean end."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        await self._server.stop()

    def signal(self, number: int) -> None:
        """Send one."""
        if process := self.process:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    async def again(self) -> None:
        """What ended by itself is started again, as whoever runs services does."""
        process = self.process
        if self.wanted and process is not None and process.exit_code is not None:
            self.respawned += 1
            self.last_words = process.tail(1)
            await self.stop()
            await self.start()


class BridgePart(Part):
    """A bridge: it has no port, so nobody waits for it to answer."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.respawned = 0
        self.last_words = ""
        """The last line of its log when it last ended by itself."""
        self.wanted = True
        self._program = program
        self._process: Process | None = None

    @property
    def process(self) -> Process | None:
        """Its present run."""
        return self._process

    async def start(self) -> None:
        """Returns at once."""
        self._process = await asyncio.to_thread(Process.start, self._program)
        self.wanted = True

    async def kill(self) -> None:
        """SIGKILL."""
        self.wanted = False
        if self._process:
            await self._process.kill()

    async def stop(self) -> None:
        """A clean end."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        if self._process:
            await self._process.stop()


@dataclass
class Stack:
    """All parts, running."""

    engines: Engines
    access: Access
    origin: str
    api: str
    parts: dict[str, Part]
    environ: dict[str, str] = field(repr=False)
    """Options that a bridge or an API takes when it is started next."""
    disks: Mapping[str, Path] = field(default_factory=dict)
    """Small disks that hold all an engine writes, by its name; none where they cannot be had."""
    cluster: ValkeyCluster | None = None
    """Where the queue is a Valkey Cluster."""

    @property
    def bridges(self) -> list[Part]:
        """The bridges."""
        return [part for name, part in self.parts.items() if name.startswith("bridge")]

    async def watch(self) -> None:
        """Start again what ends by itself, for ever."""
        while True:
            for part in self.parts.values():
                with suppress(Exception):  # it is tried again at the next look
                    await part.again()
            await asyncio.sleep(WATCH)


@asynccontextmanager
async def running(
    data: Path, bridges: int = BRIDGES, more: Mapping[str, str] | None = None, clustered: bool = False
) -> AsyncIterator[Stack]:
    """The system on a data folder, until the block ends; `more` are options of the bridges and the API.

    With `clustered` the queue is a Valkey Cluster of three primaries and three replicas.
    """
    folder = DataFolder.at(data)
    environ = {name: value for name, value in os.environ.items() if name not in {"NEO4J_URI", "REDIS_URL"}}
    async with AsyncExitStack() as exits:
        lock = await exits.enter_async_context(folder.owned())
        disks = await exits.enter_async_context(small_disks(folder.root))
        cluster = (
            await exits.enter_async_context(valkey_cluster.running(data / "cluster")) if clustered else None
        )
        environ |= {"REDIS_URL": cluster.url} if cluster else {}
        memory = Options(heap=384, page_cache=64)
        engines = await exits.enter_async_context(started(folder, memory, environ, (lock.descriptor,)))
        keys = credentials.read(folder, environ)
        logs = folder.root / "logs"
        origin = Server(
            OriginEngine(
                logs / "origin.log", keys.publish_key, keys.subscribe_key, keys.secret_key, control=True
            )
        )
        exits.push_async_callback(origin.stop)
        await origin.start()
        await _migrate(engines)
        options = environ | _options(engines, keys, f"{LOOPBACK}:{origin.port}") | dict(more or {})
        api = Server(Api(logs / "api.log", options))
        exits.push_async_callback(api.stop)
        await api.start()
        parts = {"origin": Part("origin", origin), "API": Part("API", api)}
        for name, server in (("Neo4j", engines.neo4j.server), ("Valkey", engines.valkey)):
            if server:
                parts[name] = Part(name, server)
        for number in range(1, bridges + 1):
            parts[f"bridge {number}"] = bridge = _bridge(number, logs, options)
            exits.push_async_callback(bridge.stop)
            await bridge.start()
        stack = Stack(
            engines,
            keys,
            f"{LOOPBACK}:{origin.port}",
            ServiceEngine.url(api.port),
            parts,
            options,
            {name: disk for name, disk in disks.items() if name in parts},
            cluster,
        )
        exits.callback(_thaw, stack)
        yield stack


def _bridge(number: int, logs: Path, options: Mapping[str, str]) -> Part:
    name, command = f"bridge {number}", [sys.executable, "-m", "chaos.bridge"]
    return BridgePart(name, Program(name, command, logs / f"bridge-{number}.log", 10.0, options))


def _thaw(stack: Stack) -> None:
    for part in stack.parts.values():
        part.signal(signal.SIGCONT)


def _options(engines: Engines, keys: Access, origin: str) -> dict[str, str]:
    neo4j = engines.neo4j
    return {
        "ENVIRONMENT": "development",
        "NEO4J_URI": neo4j.uri,
        "NEO4J_USER": neo4j.user,
        "NEO4J_PASSWORD": neo4j.password,
        "REDIS_URL": engines.redis_url,
        "PUBNUB_ORIGIN": origin,
        "PUBNUB_TLS": "false",
        "DEBOUNCE_ONLINE_SECONDS": str(HOLD),
        "DEBOUNCE_LEAVE_SECONDS": str(HOLD),
        "DEBOUNCE_TIMEOUT_SECONDS": str(HOLD),
        "PARTITIONS": "6",
        "PRESENCE_SHARDS": "12",
        "RECONCILE_INTERVAL_SECONDS": "10",
        "STATUS_COUNT_INTERVAL_SECONDS": "2",
        "APP_CONTEXT": "off",
        "GRACE_SECONDS": "2",
        "RATE_LIMIT_USER": "",
        "RATE_LIMIT_ADDRESS": "",
        **keys.options(),
    }


async def _migrate(engines: Engines) -> None:
    neo4j = engines.neo4j
    settings = Settings(
        environment="development",
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=neo4j.password,  # type: ignore[arg-type]
    )
    async with connect(settings) as graph:
        await migrations.migrate(graph, migrations.folder())
