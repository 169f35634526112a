"""Start Neo4j and Valkey on one data folder, or connect to those that NEO4J_URI and REDIS_URL name.

Usage::

    async with running(Path(".data")) as engines:
        engines.neo4j.uri, engines.neo4j.user, engines.neo4j.password, engines.redis_url
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from graph_service.errors import SetupError, Unavailable
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.memory import Memory, of_machine, shared_out
from local_stack.engines.neo4j_server import USER, Neo4jEngine
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.server import Server
from local_stack.engines.sniff import sniff
from local_stack.engines.valkey_server import ValkeyEngine
from local_stack.errors import BadMemory, OtherServer, Unreachable


@dataclass(frozen=True, kw_only=True)
class Options:
    """Ports and memory; 0 and None select them automatically."""

    neo4j_port: int = 0
    redis_port: int = 0
    heap: int | None = None
    """MiB."""
    page_cache: int | None = None
    """MiB."""

    def memory(self, environ: Mapping[str, str]) -> Memory:
        """Neo4j's memory: from these options, else NEO4J_HEAP and NEO4J_PAGE_CACHE, else a share of the machine's."""
        heap = self.heap or _mebibytes(environ, "NEO4J_HEAP")
        page_cache = self.page_cache or _mebibytes(environ, "NEO4J_PAGE_CACHE")
        return shared_out(of_machine(), heap, page_cache)


def jvm_flags(environ: Mapping[str, str]) -> tuple[str, ...]:
    """JVM options from NEO4J_JVM_FLAGS, split as in a shell; they follow the built-in ones, so they override them."""
    return tuple(shlex.split(environ.get("NEO4J_JVM_FLAGS", "")))


def _mebibytes(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name)
    if value and not value.isdecimal():
        raise BadMemory(name=name, given=value)
    return int(value) if value else None


@dataclass(frozen=True, kw_only=True)
class Neo4jAddress:
    """How to reach the graph."""

    uri: str
    user: str
    password: str = field(repr=False)
    agent: str = ""
    """The server's product and version, such as ``Neo4j/5.26.28``."""
    server: Server | None = field(default=None, repr=False)
    """The embedded server, which can be stopped, killed and restarted; None when it runs elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Engines:
    """Both databases, ready."""

    neo4j: Neo4jAddress
    redis_url: str = field(repr=False)
    """Contains a password."""
    valkey: Server | None = field(default=None, repr=False)
    """The embedded server; None when it runs elsewhere."""

    @property
    def servers(self) -> list[Server]:
        return [server for server in (self.neo4j.server, self.valkey) if server]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What the two concurrent starts of one call share."""

    folder: DataFolder
    options: Options
    environ: Mapping[str, str]
    stack: AsyncExitStack
    inherited_fds: tuple[int, ...]

    async def graph(self) -> Neo4jAddress:
        """The Neo4j of NEO4J_URI, or an embedded one."""
        if uri := self.environ.get("NEO4J_URI"):
            return await self._configured_graph(uri)
        memory = self.options.memory(self.environ)
        flags = jvm_flags(self.environ)
        engine = Neo4jEngine(self.folder, memory=memory, inherited_fds=self.inherited_fds, jvm_flags=flags)
        server = await self._started(Server(engine, port=self.options.neo4j_port))
        return Neo4jAddress(
            uri=engine.uri(server.port),
            user=USER,
            password=engine.password,
            agent=server.agent,
            server=server,
        )

    async def queue(self) -> tuple[str, Server | None]:
        """The Valkey of REDIS_URL, or an embedded one."""
        if url := self.environ.get("REDIS_URL"):
            return await self._configured_queue(url), None
        engine = ValkeyEngine(self.folder, inherited_fds=self.inherited_fds)
        server = await self._started(Server(engine, port=self.options.redis_port))
        return engine.url(server.port), server

    async def _started(self, server: Server) -> Server:
        self.stack.push_async_callback(server.stop)
        await server.start()
        return server

    async def _configured_graph(self, uri: str) -> Neo4jAddress:
        from local_stack.engines import probe  # noqa: PLC0415 - imports the driver

        user, password = self.environ.get("NEO4J_USER", USER), self.environ.get("NEO4J_PASSWORD", "")
        try:
            agent = await probe.graph(uri, user, password)
            return Neo4jAddress(uri=uri, user=user, password=password, agent=agent)
        except Unavailable as error:
            raise await _connection_problem("NEO4J_URI", uri, "Neo4j", error) from error

    async def _configured_queue(self, url: str) -> str:
        from local_stack.engines import probe  # noqa: PLC0415 - imports the client

        try:
            await probe.queue(url)
        except Unavailable as error:
            raise await _connection_problem("REDIS_URL", url, "Valkey or Redis", error) from error
        return url


async def _connection_problem(variable: str, url: str, wanted: str, error: Unavailable) -> SetupError:
    """Why a configured address cannot be used: nothing listens, another product does, or the right one refused."""
    parts = urlsplit(url)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    ports = {"NEO4J_URI": 7687, "REDIS_URL": 6379}
    encrypted = parts.scheme == "rediss" or "+s" in parts.scheme
    agent = None if encrypted else await sniff(url, ports[variable])
    if agent is None or wanted in agent:
        reason = str(error.fields.get("reason", error)).rstrip(".")
        return Unreachable(variable=variable, address=address, reason=reason)
    return OtherServer(variable=variable, address=address, agent=agent, wanted=wanted)


@asynccontextmanager
async def running(
    data: Path, options: Options | None = None, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[Engines]:
    """Start the databases that no address is configured for, wait until all are ready, stop them at the end.

    They end with this process, however it ends. Raises the errors of `local_stack.errors`, and `GraphRefused` or
    `NotNeo4j` (graph_service.graph.driver) for a reachable graph that cannot be used.
    """
    folder, options = DataFolder.at(data), options or Options()
    if environ.get("NEO4J_URI") and environ.get("REDIS_URL"):
        async with started(folder, options, environ) as engines:
            yield engines
        return
    async with folder.owned() as lock, started(folder, options, environ, (lock.descriptor,)) as engines:
        folder.write_state(state_of(engines.servers))
        yield engines


@asynccontextmanager
async def started(
    folder: DataFolder, options: Options, environ: Mapping[str, str], inherited_fds: tuple[int, ...] = ()
) -> AsyncIterator[Engines]:
    """As `running`, for a caller that has locked the folder; `inherited_fds` stay open until the engines have ended."""
    async with AsyncExitStack() as stack:
        run = _Run(folder=folder, options=options, environ=environ, stack=stack, inherited_fds=inherited_fds)
        yield await _both(run)


def state_of(servers: list[Server]) -> dict[str, Any]:
    """Names, addresses, process ids and logs for other terminals; no secrets."""
    entries = [
        {
            "name": server.engine.name,
            "address": f"{LOOPBACK}:{server.port}",
            "pid": server.pid,
            "log": str(server.engine.log),
        }
        for server in servers
    ]
    return {"ready": True, "servers": entries}


async def _both(run: _Run) -> Engines:
    try:
        async with asyncio.TaskGroup() as group:
            graph = group.create_task(run.graph(), name="start Neo4j")
            queue = group.create_task(run.queue(), name="start Valkey")
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    redis_url, valkey = queue.result()
    return Engines(neo4j=graph.result(), redis_url=redis_url, valkey=valkey)
