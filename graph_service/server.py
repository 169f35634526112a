"""An application on a port, by one process, until it is told to stop. Knows sockets and signals.

Stopping: SIGTERM or SIGINT → not ready, while calls are still answered, for DRAIN_SECONDS → no new connections,
running calls get GRACE_SECONDS → closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from graph_service.api.connection import Runner
from graph_service.api.services import Readiness
from graph_service.concurrency import gc_tuning
from graph_service.errors import SetupError
from graph_service.settings import Settings

Main = Callable[[Settings], Coroutine[object, object, None]]
"""What one process does, from opening its engines to closing them."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
ACCEPTS_PER_TICK = 16
"""Connections accepted in one turn of the loop: uvloop accepts one for each handle that listens, and with a single one the
newcomers of a burst wait in line for seconds while those who are in are answered at once."""
BACKLOG = 4096
"""Connections that wait to be accepted, as many as Linux allows by itself. With the library's 128 a burst of clients lost
the opening of theirs and tried again after 1, 3, 7 and 15 seconds (RFC 6298), however soon there was room."""

log = structlog.get_logger(__name__)


class PortTaken(SetupError):
    """PORT {port} on {host} cannot be had: {reason}. Set PORT to a free one (0 takes any), or stop what holds it"""

    code = "port_taken"


@dataclass(frozen=True)
class Address:
    """Where an application listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As callers on this machine write it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - it is read, not bound
        return f"http://{host}:{self.port}"


@asynccontextmanager
async def listening(app: web.Application, settings: Settings) -> AsyncIterator[Address]:
    """Serve `app` on HOST and PORT while the block runs. Raises `PortTaken`."""
    runner = Runner(app, settings)
    await runner.setup()
    try:
        with _listened(settings) as here:
            for _ in range(ACCEPTS_PER_TICK):
                await web.SockSite(runner, here.dup(), backlog=BACKLOG).start()
        yield Address(settings.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _listened(settings: Settings) -> socket.socket:
    """The port, listened on, alone or together with the other workers."""
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=family(settings),
            backlog=BACKLOG,
            reuse_port=settings.workers > 1,
        )
    except OSError as error:
        raise port_taken(settings, error) from error


def family(settings: Settings) -> socket.AddressFamily:
    """IPv6 where HOST is such an address."""
    return socket.AF_INET6 if ":" in settings.host else socket.AF_INET


async def until_stopped(settings: Settings, readiness: Readiness) -> None:
    """Wait for SIGTERM or SIGINT, then be unready for DRAIN_SECONDS. A second signal ends the waiting."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in STOP_SIGNALS:
        loop.add_signal_handler(one, stop.set)
    await stop.wait()
    readiness.stopping = True
    stop.clear()
    log.info("stopping", drain_seconds=settings.drain_seconds)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.drain_seconds):
            await stop.wait()


def on_loop(main: Coroutine[object, object, None]) -> None:
    """As `asyncio.run`, on uvloop's loop where it is installed (the extra `speed`): it takes less CPU a call."""
    gc_tuning.tune_gc()
    name = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    importlib.import_module(name).run(main)


def port_taken(settings: Settings, error: OSError) -> PortTaken:
    """The refusal of a port, with the system's reason."""
    return PortTaken(port=settings.port, host=settings.host, reason=os.strerror(error.errno or 0))
