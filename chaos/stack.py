"""The whole system as separate processes that can be killed, frozen and restarted."""

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

DEBOUNCE_SECONDS = 1.0
BRIDGES = 3
WATCH_SECONDS = 0.3
"""Interval of the supervisor that restarts ended processes."""


class Api(ServiceEngine):
    """The API alone."""

    async def prepare(self, port: int) -> Program:
        """See `Engine`."""
        program = await super().prepare(port)
        command = [*program.command, "--api-only"]
        return Program(name="API", command=command, log=self.log, grace=10.0, environ=program.environ)


class Part:
    """One process of the system."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.restarts = 0
        self.last_words = ""
        """The last log line before its last unexpected end."""
        self.wanted = True
        """False while it is stopped on purpose."""
        self._server = server

    @property
    def process(self) -> Process | None:
        """The running process, None where there is none."""
        with suppress(ProcessLookupError):
            return self._server.process
        return None

    async def start(self) -> None:
        """Start; returns once the process responds."""
        await self._server.start()
        self.wanted = True

    async def kill(self) -> None:
        """Send SIGKILL."""
        self.wanted = False
        await self._server.kill()

    async def stop(self) -> None:
        """Stop cleanly."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        await self._server.stop()

    def signal(self, number: int) -> None:
        """Send a signal."""
        if process := self.process:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    async def restart_if_ended(self) -> None:
        """Restart the process if it ended unexpectedly, as a service manager does."""
        process = self.process
        if self.wanted and process is not None and process.exit_code is not None:
            self.restarts += 1
            self.last_words = process.tail(1)
            await self.stop()
            await self.start()


class BridgePart(Part):
    """A bridge. It has no port, so a start does not wait for a response."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.restarts = 0
        self.last_words = ""
        """The last log line before its last unexpected end."""
        self.wanted = True
        self._program = program
        self._process: Process | None = None

    @property
    def process(self) -> Process | None:
        """The running process, None where there is none."""
        return self._process

    async def start(self) -> None:
        """Start; returns at once."""
        self._process = await asyncio.to_thread(Process.start, self._program)
        self.wanted = True

    async def kill(self) -> None:
        """Send SIGKILL."""
        self.wanted = False
        if self._process:
            await self._process.kill()

    async def stop(self) -> None:
        """Stop cleanly."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        if self._process:
            await self._process.stop()


@dataclass
class Stack:
    """All parts of a running system."""

    engines: Engines
    access: Access
    origin: str
    api: str
    parts: dict[str, Part]
    environ: dict[str, str] = field(repr=False)
    """Settings for the next start of a bridge or an API."""
    disks: Mapping[str, Path] = field(default_factory=dict)
    """Small disks by the name of their database; empty where they cannot be mounted."""
    cluster: ValkeyCluster | None = None
    """The Valkey Cluster, where one is used."""

    @property
    def bridges(self) -> list[Part]:
        return [part for name, part in self.parts.items() if name.startswith("bridge")]

    async def watch(self) -> None:
        """Restart unexpectedly ended parts, endlessly."""
        while True:
            for part in self.parts.values():
                with suppress(Exception):  # retried at the next interval
                    await part.restart_if_ended()
            await asyncio.sleep(WATCH_SECONDS)


@asynccontextmanager
async def running(
    data: Path, bridges: int = BRIDGES, more: Mapping[str, str] | None = None, clustered: bool = False
) -> AsyncIterator[Stack]:
    """The system on a data folder until the block ends. `more` are further settings of the bridges and the API.

    With `clustered` Valkey is a Cluster of three primaries and three replicas.
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
                log=logs / "origin.log",
                publish_key=keys.publish_key,
                subscribe_key=keys.subscribe_key,
                secret_key=keys.secret_key,
                control=True,
            )
        )
        exits.push_async_callback(origin.stop)
        await origin.start()
        await _migrate(engines)
        options = environ | _options(engines, keys, f"{LOOPBACK}:{origin.port}") | dict(more or {})
        api = Server(Api(log=logs / "api.log", environ=options))
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
    log = logs / f"bridge-{number}.log"
    return BridgePart(name, Program(name=name, command=command, log=log, grace=10.0, environ=options))


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
        "DEBOUNCE_ONLINE_SECONDS": str(DEBOUNCE_SECONDS),
        "DEBOUNCE_LEAVE_SECONDS": str(DEBOUNCE_SECONDS),
        "DEBOUNCE_TIMEOUT_SECONDS": str(DEBOUNCE_SECONDS),
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
