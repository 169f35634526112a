"""An application on a port, by one process or several, until it is told to stop. Knows sockets, signals, processes.

Stopping: SIGTERM or SIGINT → not ready, while calls are still answered, for DRAIN_SECONDS → no new connections,
running calls get GRACE_SECONDS → closed. With WORKERS > 1 a parent holds the port and starts that many processes on
it; one that dies is replaced, and where none lives long the parent gives up with exit code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import multiprocess

from graph_service import collector
from graph_service.api.parts import Readiness
from graph_service.api.protocol import Runner
from graph_service.errors import SetupError
from graph_service.settings import Settings

Main = Callable[[Settings], Coroutine[object, object, None]]
"""What one process does, from opening its engines to closing them."""

SHORT_LIFE = 5.0
"""Seconds: a worker that dies younger counts towards giving up."""
MOST_SHORT_LIVES = 5
COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client keeps the counts of several processes; it reads this when it is imported."""
OURS = "friends-metrics-"
"""How such a folder begins when we made it and must remove it."""
STOPS = (signal.SIGTERM, signal.SIGINT)
ACCEPTED = 16
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
            for _ in range(ACCEPTED):
                await web.SockSite(runner, here.dup(), backlog=BACKLOG).start()
        yield Address(settings.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _listened(settings: Settings) -> socket.socket:
    """The port, listened on, alone or together with the other workers."""
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=_family(settings),
            backlog=BACKLOG,
            reuse_port=settings.workers > 1,
        )
    except OSError as error:
        raise _taken(settings, error) from error


def _family(settings: Settings) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in settings.host else socket.AF_INET


async def until_stopped(settings: Settings, readiness: Readiness) -> None:
    """Wait for SIGTERM or SIGINT, then be unready for DRAIN_SECONDS. A second signal ends the waiting."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in STOPS:
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
    collector.seldom()
    name = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    importlib.import_module(name).run(main)


def run(settings: Settings, main: Main) -> int:
    """Run `main` in one process, or in WORKERS of them on one port. Returns the exit code."""
    if settings.workers == 1:
        on_loop(main(settings))
        return 0
    if COUNTS not in os.environ:
        _begin_again()
    try:
        with _reserved(settings) as port:
            return Workers(settings.model_copy(update={"port": port}), main).run()
    finally:
        if Path(os.environ[COUNTS]).name.startswith(OURS):
            shutil.rmtree(os.environ[COUNTS], ignore_errors=True)


def _begin_again() -> None:
    """Start this same command afresh, so that counting begins in shared files: that is chosen at import."""
    os.environ[COUNTS] = tempfile.mkdtemp(prefix=OURS)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


class Workers:
    """The processes that share a port, as their parent sees them."""

    def __init__(self, settings: Settings, main: Main) -> None:
        self._settings = settings
        self._main = main
        self._born: dict[int, float] = {}
        self._short_lives = 0
        self._stopping = False

    def run(self) -> int:
        """Start them, replace those that die, stop them all at a signal."""
        for one in STOPS:
            signal.signal(one, self._stop)
        for _ in range(self._settings.workers):
            self._start()
        while self._born:
            pid, status = os.wait()
            self._ended(pid, os.waitstatus_to_exitcode(status))
        return 1 if self._short_lives >= MOST_SHORT_LIVES else 0

    def _start(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._work()
        self._born[pid] = time.monotonic()
        if self._stopping:  # the signal came while it was being born
            os.kill(pid, signal.SIGTERM)

    def _work(self) -> None:
        """The child: never returns into the parent's code."""
        code = 1
        try:
            for one in STOPS:
                signal.signal(one, signal.SIG_DFL)
            on_loop(self._main(self._settings))
            code = 0
        except SetupError as error:
            sys.stderr.write(f"{error}\n")
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            log.exception("worker failed")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _ended(self, pid: int, code: int) -> None:
        lived = time.monotonic() - self._born.pop(pid, 0.0)
        _forget_counts(pid)
        if self._stopping:
            return
        log.error("worker died", pid=pid, exit_code=code, lived_seconds=round(lived, 1))
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE else 0
        if self._short_lives >= MOST_SHORT_LIVES:
            self._stop()
        else:
            time.sleep(min(0.1 * 2**self._short_lives, 5.0))
            if not self._stopping:
                self._start()

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for pid in self._born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def _reserved(settings: Settings) -> Iterator[int]:
    """The port, held (never listened on) by the parent, so that it stays ours while workers come and go.

    First it is taken alone: SO_REUSEPORT by itself would share it with an older service that nobody meant to keep.
    """
    family = _family(settings)
    try:
        with socket.socket(family) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((settings.host, settings.port))
            alone.listen()
            port = alone.getsockname()[1]
        held = socket.socket(family)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((settings.host, port))
    except OSError as error:
        raise _taken(settings, error) from error
    with held:
        yield port


def _forget_counts(pid: int) -> None:
    """Drop a dead process's gauges from the shared counts."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _taken(settings: Settings, error: OSError) -> PortTaken:
    return PortTaken(port=settings.port, host=settings.host, reason=os.strerror(error.errno or 0))
