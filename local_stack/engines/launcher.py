"""Both engines, running: Neo4j and Valkey on one data folder, or by the addresses in NEO4J_URI and REDIS_URL.

The one thing others need from here::

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


@dataclass(frozen=True)
class Options:
    """What may be chosen; 0 and None mean: you choose."""

    neo4j_port: int = 0
    redis_port: int = 0
    heap: int | None = None
    """MiB."""
    page_cache: int | None = None
    """MiB."""

    def memory(self, environ: Mapping[str, str]) -> Memory:
        """What Neo4j gets: as given here, or by NEO4J_HEAP and NEO4J_PAGE_CACHE, or a share of the machine's."""
        heap = self.heap or _mebibytes(environ, "NEO4J_HEAP")
        page_cache = self.page_cache or _mebibytes(environ, "NEO4J_PAGE_CACHE")
        return shared_out(of_machine(), heap, page_cache)


def jvm_flags(environ: Mapping[str, str]) -> tuple[str, ...]:
    """More options for Neo4j's Java, from NEO4J_JVM_FLAGS as in a shell; they come after ours, so they win."""
    return tuple(shlex.split(environ.get("NEO4J_JVM_FLAGS", "")))


def _mebibytes(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name)
    if value and not value.isdecimal():
        raise BadMemory(name=name, given=value)
    return int(value) if value else None


@dataclass(frozen=True)
class Neo4jAddress:
    """How to reach the graph."""

    uri: str
    user: str
    password: str = field(repr=False)
    agent: str = ""
    """What the server calls itself, such as ``Neo4j/5.26.28``."""
    server: Server | None = field(default=None, repr=False)
    """The embedded server, which may be stopped, killed and started again; None when it runs elsewhere."""


@dataclass(frozen=True)
class Engines:
    """Both engines, ready."""

    neo4j: Neo4jAddress
    redis_url: str = field(repr=False)
    """Holds a password."""
    valkey: Server | None = field(default=None, repr=False)
    """The embedded server; None when it runs elsewhere."""

    @property
    def servers(self) -> list[Server]:
        """The embedded ones."""
        return [server for server in (self.neo4j.server, self.valkey) if server]


@dataclass(frozen=True)
class _Run:
    """One call of `running`: what its two halves share."""

    folder: DataFolder
    options: Options
    environ: Mapping[str, str]
    stack: AsyncExitStack
    inherited_fds: tuple[int, ...]

    async def graph(self) -> Neo4jAddress:
        """Neo4j by NEO4J_URI, or our own."""
        if uri := self.environ.get("NEO4J_URI"):
            return await self._configured_graph(uri)
        memory = self.options.memory(self.environ)
        flags = jvm_flags(self.environ)
        engine = Neo4jEngine(self.folder, memory=memory, inherited_fds=self.inherited_fds, jvm_flags=flags)
        server = await self._started(Server(engine, self.options.neo4j_port))
        return Neo4jAddress(engine.uri(server.port), USER, engine.password, server.agent, server)

    async def queue(self) -> tuple[str, Server | None]:
        """Valkey by REDIS_URL, or our own."""
        if url := self.environ.get("REDIS_URL"):
            return await self._configured_queue(url), None
        engine = ValkeyEngine(self.folder, inherited_fds=self.inherited_fds)
        server = await self._started(Server(engine, self.options.redis_port))
        return engine.url(server.port), server

    async def _started(self, server: Server) -> Server:
        self.stack.push_async_callback(server.stop)
        await server.start()
        return server

    async def _configured_graph(self, uri: str) -> Neo4jAddress:
        from local_stack.engines import probe  # noqa: PLC0415 - imports the driver

        user, password = self.environ.get("NEO4J_USER", USER), self.environ.get("NEO4J_PASSWORD", "")
        try:
            return Neo4jAddress(uri, user, password, await probe.graph(uri, user, password))
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
    """Why an address did not work: nobody is there, somebody else is, or the right one did not serve us."""
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
    """Start what is not given by address, wait until all answer, stop it at the end.

    They end with this process, however it ends. Raises the errors of `local_stack.errors`, and `GraphRefused` or
    `NotNeo4j` (graph_service.graph.driver) for a graph that is there and cannot be used.
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
    """As `running`, for a caller that owns the folder already; `inherited_fds` stays open until the engines are gone."""
    async with AsyncExitStack() as stack:
        yield await _both(_Run(folder, options, environ, stack, inherited_fds))


def state_of(servers: list[Server]) -> dict[str, Any]:
    """What other terminals may know of these servers; no secrets."""
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
    return Engines(graph.result(), *queue.result())
