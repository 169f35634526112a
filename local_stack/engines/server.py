"""Starts an engine, waits until it answers, stops it. Knows processes and ports; an `Engine` says what to run.

Every engine listens on loopback only, under a generated password.
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
"""A slow machine needs 20; who needs more than this will not come."""
MAX_PORT_ATTEMPTS = 3
"""A free port may be taken between choosing and using it."""


class NotReadyYet(Exception):
    """The engine does not answer yet; said with the reason, for the message if it never does."""


class Engine(Protocol):
    """What a server of one kind needs to run. Implemented by Neo4j and Valkey."""

    name: str
    """As messages call it."""
    port_option: str
    """The option that sets its port."""

    @property
    def log(self) -> Path:
        """Where it writes what matters when it does not start."""

    @property
    def todo(self) -> str:
        """What to do when it does not start."""

    async def prepare(self, port: int) -> Program:
        """Write its files; says what to run."""

    async def ask(self, port: int) -> str:
        """Who answers, such as ``Neo4j/5.26.28``. Raises `NotReadyYet` while it starts."""


class Server:
    """One engine that may be started, stopped, killed and started again, always on the same port."""

    def __init__(
        self, engine: Engine, port: int = 0, ready_timeout_seconds: float = READY_TIMEOUT_SECONDS
    ) -> None:
        self.engine = engine
        self.port = port
        """0 until started, when a free one is wanted."""
        self.agent = ""
        """What the running engine calls itself."""
        self._ready_timeout_seconds = ready_timeout_seconds
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The engine's process. Raises `ProcessLookupError` when it does not run."""
        return self.process.pid

    @property
    def process(self) -> Process:
        """Its present run."""
        if self._process is None:
            raise ProcessLookupError(f"{self.engine.name} is not running")
        return self._process

    async def start(self) -> None:
        """Returns once it answers. Raises `PortTaken`, or `NotReady` with the last log lines."""
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
        """A clean end; does nothing when it does not run."""
        if self._process:
            await self._process.stop()
            self._process = None

    async def kill(self) -> None:
        """The end that a crash would make (SIGKILL); `start` brings it back on the same port and data."""
        await self.process.kill()
        self._process = None
