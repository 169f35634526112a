"""Serves an application on a port in one process, with a graceful shutdown.

Shutdown: SIGTERM or SIGINT -> unready but still serving for DRAIN_SECONDS -> no new connections, running requests get
GRACE_SECONDS -> closed.
"""

from __future__ import annotations

import asyncio
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
from graph_service.concurrency.wait import wait_or_timeout
from graph_service.errors import SetupError
from graph_service.settings import Settings

Main = Callable[[Settings], Coroutine[object, object, None]]
"""What one process does, from opening its databases to closing them."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
ACCEPTS_PER_TICK = 16
"""Connections accepted in one iteration of the event loop: uvloop accepts one for each listening handle, and with a
single handle new connections of a burst wait for seconds while established ones are served at once."""
BACKLOG = 4096
"""Connections that wait to be accepted: Linux's default maximum. With the library's 128, SYN packets of a burst of
clients were lost and sent again after 1, 3, 7 and 15 seconds (RFC 6298), however soon there was room."""

log = structlog.get_logger(__name__)


class PortTaken(SetupError):
    """PORT {port} on {host} cannot be had: {reason}. Set PORT to a free one (0 takes any), or stop what holds it"""

    code = "port_taken"


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where an application listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For clients on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - it is read, not bound
        return f"http://{host}:{self.port}"


@asynccontextmanager
async def listening(app: web.Application, settings: Settings) -> AsyncIterator[Address]:
    """Serve `app` on HOST and PORT while the block runs. Raises `PortTaken`."""
    runner = Runner(app=app, settings=settings)
    await runner.setup()
    try:
        with _listening_socket(settings) as listener:
            for _ in range(ACCEPTS_PER_TICK):
                await web.SockSite(runner, listener.dup(), backlog=BACKLOG).start()
        yield Address(host=settings.host, port=runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _listening_socket(settings: Settings) -> socket.socket:
    """A socket that listens on HOST and PORT; with several workers each has one on the same port."""
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
    """IPv6 where HOST is an IPv6 address."""
    return socket.AF_INET6 if ":" in settings.host else socket.AF_INET


async def until_stopped(settings: Settings, readiness: Readiness) -> None:
    """Wait for SIGTERM or SIGINT, then be unready for DRAIN_SECONDS. A second signal ends the drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    readiness.stopping = True
    stop.clear()
    log.info("shutdown.drain.started", drain_seconds=settings.drain_seconds)
    await wait_or_timeout(stop, seconds=settings.drain_seconds)


def on_loop(main: Coroutine[object, object, None]) -> None:
    """As `asyncio.run`, on uvloop where it is installed (the extra `speed`): less CPU for each request."""
    gc_tuning.tune_gc()
    name = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    importlib.import_module(name).run(main)


def port_taken(settings: Settings, error: OSError) -> PortTaken:
    """The error for a port that cannot be bound, with the system's reason."""
    return PortTaken(port=settings.port, host=settings.host, reason=os.strerror(error.errno or 0))
