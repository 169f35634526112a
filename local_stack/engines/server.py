"""Start a server process, wait until it is ready, stop it. An `Engine` supplies the command and the readiness check.

Every engine listens on loopback only; Neo4j and Valkey require a generated password.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Protocol

from local_stack.engines.ports import free_port, is_free
from local_stack.engines.process import Process, Program, tail
from local_stack.errors import NotReady, PortTaken

READY_TIMEOUT_SECONDS = 120.0
"""A slow machine needs 20 s."""
MAX_PORT_ATTEMPTS = 3
"""A free port can be taken between choosing and binding it."""


class NotReadyYet(Exception):
    """The engine is not ready yet. The reason appears in the message if it never is."""


class Engine(Protocol):
    """What `Server` needs of one kind of server. Implemented by Neo4j, Valkey, the origin and the service."""

    name: str
    """Used in messages."""
    port_option: str
    """The command-line option that sets its port."""

    @property
    def log(self) -> Path:
        """The log that explains a failed start."""

    @property
    def todo(self) -> str:
        """Advice for the operator when it does not start."""

    async def prepare(self, port: int) -> Program:
        """Write its files and return the program to run."""

    async def ask(self, port: int) -> str:
        """Product and version, such as ``Neo4j/5.26.28``, once ready. Raises `NotReadyYet` before that."""


class Server:
    """One engine that can be started, stopped, killed and restarted, always on the same port."""

    def __init__(
        self, engine: Engine, *, port: int = 0, ready_timeout_seconds: float = READY_TIMEOUT_SECONDS
    ) -> None:
        self.engine = engine
        self.port = port
        """0 before the first start where a free port is to be chosen."""
        self.agent = ""
        """Product and version of the running server."""
        self._ready_timeout_seconds = ready_timeout_seconds
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The engine's process id. Raises `ProcessLookupError` when it does not run."""
        return self.process.pid

    @property
    def process(self) -> Process:
        """The current run. Raises `ProcessLookupError` when there is none."""
        if self._process is None:
            raise ProcessLookupError(f"{self.engine.name} is not running")
        return self._process

    async def start(self) -> None:
        """Start and return once it is ready. Raises `PortTaken`, or `NotReady` with the last log lines."""
        if self.port and not is_free(self.port):
            raise PortTaken(port=self.port, engine=self.engine.name, option=self.engine.port_option)
        for last in range(MAX_PORT_ATTEMPTS - 1, -1, -1):
            port = self.port or free_port()
            try:
                await self._start_on(port)
            except NotReady:
                if self.port or not last or is_free(port):
                    raise
            else:
                self.port = port
                return

    async def _start_on(self, port: int) -> None:
        program = await self.engine.prepare(port)
        self._process = await asyncio.to_thread(Process.start, program)
        try:
            self.agent = await self._wait_until_ready(port)
        except BaseException:
            await self.stop()
            raise

    async def _wait_until_ready(self, port: int) -> str:
        until, reason = time.monotonic() + self._ready_timeout_seconds, "it does not listen yet"
        while time.monotonic() < until:
            if (code := self.process.exit_code) is not None:
                raise self._not_ready(f"ended with exit code {code}")
            try:
                return await self.engine.ask(port)
            except NotReadyYet as error:
                reason = str(error)
            await asyncio.sleep(0.1)
        raise self._not_ready(f"does not answer after {self._ready_timeout_seconds:.0f} s ({reason})")

    def _not_ready(self, reason: str) -> NotReady:
        engine = self.engine
        lines = "\n".join(tail(path) for path in dict.fromkeys((self.process.program.log, engine.log)))
        return NotReady(engine=engine.name, reason=reason, todo=engine.todo, log=engine.log, tail=lines)

    async def stop(self) -> None:
        """Stop it cleanly; does nothing when it does not run."""
        if self._process:
            await self._process.stop()
            self._process = None

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would; `start` restarts it on the same port and data."""
        await self.process.kill()
        self._process = None
