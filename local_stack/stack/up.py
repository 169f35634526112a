"""The whole system on one machine, in the foreground: engines, origin, migrations, service, demo people.

Knows the order in which they start and what each must be told; each one's own file knows how it is started.
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

from pydantic import SecretStr

from graph_service.errors import SetupError
from graph_service.graph import migrations
from graph_service.graph.driver import connect
from graph_service.settings import Settings
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
    """What the person who types `up` may choose."""

    data: Path
    port: int = 0
    origin_port: int = 0
    engines: Options = field(default_factory=Options)
    json: Path | None = None
    """Where to write how everything is reached."""
    people: int = 3000
    """Demo people; 0 for none."""
    control: bool = False
    """Whether the origin serves /_control/."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


@dataclass(frozen=True)
class Stack:
    """Everything, running."""

    engines: Engines
    access: Access
    origin: str
    """``host:port``."""
    api: str
    servers: list[Server]
    processes: list[Process]
    pages: bool = True
    """Whether the pages have what they need."""

    def connection_info(self) -> dict[str, Any]:
        """How everything is reached, as written by ``up --json``."""
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
"""Hears of each step, for the person who waits."""


async def up(choice: Choice, report: Report) -> None:
    """Start everything, say where it is, and stay until cancelled. Raises `ChildDied` when one part ends by itself."""
    async with stack(choice, report) as running_stack:
        report(f"ready: {running_stack.api}")
        if running_stack.pages:
            report(f"friends page: {running_stack.api}/")
            report(f"operator console: {console_address(running_stack, sys.stderr.isatty())}")
        await first_death(running_stack)


def console_address(made: Stack, to_person: bool) -> str:
    """Where the console is; for a person at a terminal with its key, behind the # that no server sees and no log keeps."""
    address = f"{made.api}/console"
    return (
        f"{address}#key={made.access.console_key}"
        if to_person
        else f"{address} (its key: consoleKey in the stack's file)"
    )


@asynccontextmanager
async def stack(choice: Choice, report: Report) -> AsyncIterator[Stack]:
    """Everything that `choice` wants, stopped in reverse at the end."""
    data = DataFolder.at(choice.data)
    files = [path for path in (data.root / "stack.json", choice.json) if path]
    async with AsyncExitStack() as exits:
        lock = await exits.enter_async_context(data.owned())
        _forget(files)
        exits.callback(_forget, files)
        report(f"engines on {data.root}")
        engines = await exits.enter_async_context(
            started(data, choice.engines, choice.environ, (lock.descriptor,))
        )
        keys = credentials.read(data, choice.environ)
        run = _Run(choice, data, exits, engines, keys)
        made = await run.start(report)
        data.write_state(_state(made))
        for file in files:
            write_private(file, made.connection_info())
        if choice.people:
            made.processes.extend(await run.demo(files[0]))
        yield made


@dataclass(frozen=True)
class _Run:
    """One start: what its steps share."""

    choice: Choice
    data: DataFolder
    exits: AsyncExitStack
    engines: Engines
    keys: Access

    async def start(self, report: Report) -> Stack:
        """The steps after the engines, in order."""
        servers = list(self.engines.servers)
        report(f"migrations on {self.engines.neo4j.agent} at {self.engines.neo4j.uri}")
        await _migrate(self.engines)
        origin = self.keys.origin
        if not origin:
            servers.append(await self._origin())
            origin = f"{LOOPBACK}:{servers[-1].port}"
        report(f"service, with the origin at {origin}")
        options = self._options(origin) | await self._page_options(report)
        service = await self._started(Server(ServiceEngine(self._log("service"), options), self.choice.port))
        servers.append(service)
        url = ServiceEngine.url(service.port)
        return Stack(self.engines, self.keys, origin, url, servers, [], "WEB_LIBRARIES" in options)

    async def _page_options(self, report: Report) -> dict[str, str]:
        """What the pages need; without a network everything else works, and the page says what is missing."""
        options = {"DEMO_LOGIN": "on"} if self.choice.people else {}
        if "WEB_LIBRARIES" in self.choice.environ:
            return options
        try:
            options["WEB_LIBRARIES"] = str(await web_libraries.ready())
        except SetupError as problem:
            report(str(problem))
        return options

    async def demo(self, stack_file: Path) -> list[Process]:
        """The demo people, where they are installed."""
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
        program = Program("demo people", command, self._log("demo"), grace=10.0)
        process = await asyncio.to_thread(Process.start, program)
        self.exits.push_async_callback(process.stop)
        return [process]

    async def _origin(self) -> Server:
        keys = self.keys
        engine = OriginEngine(
            self._log("origin"),
            keys.publish_key,
            keys.subscribe_key,
            keys.secret_key,
            control=self.choice.control,
        )
        engine.access_manager = self.choice.environ.get("ACCESS_MANAGER", "on") != "off"
        return await self._started(Server(engine, self.choice.origin_port))

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
    """What other terminals may know: addresses and processes, no secrets."""
    return state_of(made.servers) | {"api": made.api, "origin": made.origin}


async def first_death(made: Stack | Engines) -> None:
    """Waits for a part that ends by itself, which is always a fault. Raises `ChildDied` with its name."""
    processes = [server.process for server in made.servers]
    processes += made.processes if isinstance(made, Stack) else []
    while True:
        for process in processes:
            if (code := process.exit_code) is not None:
                name, log = process.program.name, process.program.log
                raise ChildDied(name=name, code=code, log=log, tail=process.tail())
        await asyncio.sleep(0.1)


def _forget(files: list[Path]) -> None:
    """A file that is there says that everything answers; so it must not be there before, nor after."""
    for file in files:
        file.unlink(missing_ok=True)
