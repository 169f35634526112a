"""Start the whole system on one machine, in the foreground: databases, migrations, origin, service, demo users.

This module decides the order and passes addresses and keys along; each server's own module knows how it is started.
Everything stops in reverse order when the context closes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter

from graph_service.errors import SetupError
from graph_service.graph import migrations
from graph_service.graph.driver import connect
from graph_service.settings import Settings, refuse_old_names
from local_stack.engines.data_folder import DataFolder, write_private
from local_stack.engines.launcher import Engines, Options, started, state_of
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Process, Program
from local_stack.engines.server import Server
from local_stack.errors import ChildDied
from local_stack.stack import credentials, web_libraries
from local_stack.stack.credentials import Access
from local_stack.stack.origin_server import OriginEngine
from local_stack.stack.service_server import ServiceEngine

DEMO = "local_stack.demo.main"


@dataclass(frozen=True)
class Choice:
    """Options of `up`."""

    data: Path
    port: int = 0
    origin_port: int = 0
    engines: Options = field(default_factory=Options)
    json: Path | None = None
    """File for addresses and keys, written when everything is ready."""
    people: int = 3000
    """Number of demo users; 0 for none."""
    control: bool = False
    """Serve the origin's /_control/."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running system."""

    engines: Engines
    access: Access
    origin: str
    """``host:port``."""
    api: str
    servers: list[Server]
    processes: list[Process]
    pages: bool = True
    """Whether the pages' third-party files are there."""

    def connection_info(self) -> dict[str, Any]:
        """Addresses and keys, as written by ``up --json``."""
        keys, neo4j = self.access, self.engines.neo4j
        return {
            "api": self.api,
            "origin": self.origin,
            "publishKey": keys.publish_key,
            "subscribeKey": keys.subscribe_key,
            "secretKey": keys.secret_key,
            "jwtSecret": keys.jwt_secret,
            "jwtAudience": keys.jwt_audience,
            "jwtIssuer": keys.jwt_issuer,
            "serviceKey": keys.service_key,
            "consoleKey": keys.console_key,
            "neo4j": {"uri": neo4j.uri, "user": neo4j.user, "password": neo4j.password},
            "redis": self.engines.redis_url,
        }


Report = Callable[[str], None]
"""Called with the text of each step as it begins."""


async def up(choice: Choice, report: Report) -> None:
    """Start everything, print the addresses, run until cancelled. Raises `ChildDied` when a process ends on its own."""
    async with stack(choice, report) as running_stack:
        report(f"ready: {running_stack.api}")
        if running_stack.pages:
            report(f"friends page: {running_stack.api}/")
            report(f"operator console: {console_address(running_stack, sys.stderr.isatty())}")
        await first_death(running_stack)


def console_address(made: Stack, to_terminal: bool) -> str:
    """The console's address; on a terminal with its key, in the fragment, which no server or log receives."""
    address = f"{made.api}/console"
    return (
        f"{address}#key={made.access.console_key}"
        if to_terminal
        else f"{address} (its key: consoleKey in the stack's file)"
    )


@asynccontextmanager
async def stack(choice: Choice, report: Report) -> AsyncIterator[Stack]:
    """Everything that `choice` asks for; stopped in reverse order at the end."""
    refuse_old_names(choice.environ)  # before anything is started
    data = DataFolder.at(choice.data)
    files = [path for path in (data.root / "stack.json", choice.json) if path]
    async with AsyncExitStack() as exits:
        lock = await exits.enter_async_context(data.owned())
        _forget(files)
        exits.callback(_forget, files)
        report(f"starting Neo4j and Valkey on {data.root}")
        engines = await exits.enter_async_context(
            started(data, choice.engines, choice.environ, (lock.descriptor,))
        )
        keys = credentials.read(data, choice.environ)
        run = _Run(choice=choice, data=data, exits=exits, engines=engines, keys=keys)
        made = await run.start(report)
        data.write_state(_state(made))
        for file in files:
            write_private(file, made.connection_info())
        if choice.people:
            made.processes.extend(await run.demo(files[0]))
        yield made


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What the steps of one start share."""

    choice: Choice
    data: DataFolder
    exits: AsyncExitStack
    engines: Engines
    keys: Access

    async def start(self, report: Report) -> Stack:
        """Migrate, start the origin, start the service: in this order, after the databases."""
        servers = list(self.engines.servers)
        report(f"applying migrations to {self.engines.neo4j.agent} at {self.engines.neo4j.uri}")
        await _migrate(self.engines)
        origin = self.keys.origin
        if not origin:
            servers.append(await self._origin())
            origin = f"{LOOPBACK}:{servers[-1].port}"
        report(f"starting the service with the origin at {origin}")
        options = self._options(origin) | await self._page_options(report)
        engine = ServiceEngine(log=self._log("service"), environ=options)
        service = await self._started(Server(engine, port=self.choice.port))
        servers.append(service)
        url = ServiceEngine.url(service.port)
        return Stack(
            engines=self.engines,
            access=self.keys,
            origin=origin,
            api=url,
            servers=servers,
            processes=[],
            pages="WEB_LIBRARIES" in options,
        )

    async def _page_options(self, report: Report) -> dict[str, str]:
        """Settings of the pages; without a network everything else works, and the page says what is missing."""
        options = {"DEMO_LOGIN": "true"} if self.choice.people else {}
        if "WEB_LIBRARIES" in self.choice.environ:
            return options
        try:
            options["WEB_LIBRARIES"] = str(await web_libraries.ready())
        except SetupError as problem:
            report(str(problem))
        return options

    async def demo(self, stack_file: Path) -> list[Process]:
        """Start the demo users, where that module is installed."""
        if find_spec(DEMO) is None:
            return []
        command = [
            sys.executable,
            "-m",
            DEMO,
            "--stack",
            str(stack_file),
            "--people",
            str(self.choice.people),
        ]
        program = Program(name="demo people", command=command, log=self._log("demo"), grace=10.0)
        process = await asyncio.to_thread(Process.start, program)
        self.exits.push_async_callback(process.stop)
        return [process]

    async def _origin(self) -> Server:
        keys = self.keys
        engine = OriginEngine(
            log=self._log("origin"),
            publish_key=keys.publish_key,
            subscribe_key=keys.subscribe_key,
            secret_key=keys.secret_key,
            access_manager=is_on(self.choice.environ.get("ACCESS_MANAGER", "true")),
            control=self.choice.control,
        )
        return await self._started(Server(engine, port=self.choice.origin_port))

    async def _started(self, server: Server) -> Server:
        self.exits.push_async_callback(server.stop)
        await server.start()
        return server

    def _options(self, origin: str) -> dict[str, str]:
        neo4j = self.engines.neo4j
        ours = {
            "ENVIRONMENT": "development",
            "NEO4J_URI": neo4j.uri,
            "NEO4J_USER": neo4j.user,
            "NEO4J_PASSWORD": neo4j.password,
            "REDIS_URL": self.engines.redis_url,
            "PUBNUB_ORIGIN": origin,
            **self.keys.options(),
        }
        if not self.keys.origin:
            ours["PUBNUB_TLS"] = "false"
        return credentials.without_files(self.choice.environ, ours)

    def _log(self, name: str) -> Path:
        return self.data.root / "logs" / f"{name}.log"


async def _migrate(engines: Engines) -> None:
    neo4j = engines.neo4j
    settings = Settings(
        environment="development",
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=SecretStr(neo4j.password),
    )
    async with connect(settings) as graph:
        await migrations.migrate(graph, migrations.folder())


def _state(made: Stack) -> dict[str, Any]:
    """Addresses and process ids for other terminals; no secrets."""
    return state_of(made.servers) | {"api": made.api, "origin": made.origin}


async def first_death(made: Stack | Engines) -> None:
    """Wait until a process ends on its own, which is always a fault, and raise `ChildDied` with its name."""
    processes = [server.process for server in made.servers]
    processes += made.processes if isinstance(made, Stack) else []
    while True:
        for process in processes:
            if (code := process.exit_code) is not None:
                name, log = process.program.name, process.program.log
                raise ChildDied(name=name, code=code, log=log, tail=process.tail())
        await asyncio.sleep(0.1)


def _forget(files: list[Path]) -> None:
    """The file's existence means that everything is ready, so it must not exist before or after that."""
    for file in files:
        file.unlink(missing_ok=True)


def is_on(value: str) -> bool:
    """A boolean of the environment, as the service's settings read it."""
    return TypeAdapter(bool).validate_python(value)
