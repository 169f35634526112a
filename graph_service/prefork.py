"""Pre-fork server: with WORKERS > 1 a parent reserves the port and supervises that many worker processes on it.

A worker that dies is replaced after a backoff. Where none lives long, the parent stops all with exit code 1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
from prometheus_client import multiprocess

from graph_service.errors import SetupError
from graph_service.server import STOP_SIGNALS, Main, family, on_loop, port_taken
from graph_service.settings import Settings

SHORT_LIFE_SECONDS = 5.0
"""A worker that dies younger counts towards giving up."""
MAX_SHORT_LIVES = 5
"""In a row; then the parent gives up."""
MIN_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0
METRICS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The directory in which prometheus-client shares metrics between processes; it is read at import."""
METRICS_DIR_PREFIX = "friends-metrics-"
"""Prefix of such a directory when we created it and must remove it."""

log = structlog.get_logger(__name__)


def run(settings: Settings, main: Main) -> int:
    """Run `main` in one process, or in WORKERS of them on one port. Returns the exit code."""
    if settings.workers == 1:
        on_loop(main(settings))
        return 0
    if METRICS_DIR_VARIABLE not in os.environ:
        _restart_with_shared_metrics()
    try:
        with _reserved_port(settings) as port:
            return Workers(settings=settings.model_copy(update={"port": port}), main=main).run()
    finally:
        if Path(os.environ[METRICS_DIR_VARIABLE]).name.startswith(METRICS_DIR_PREFIX):
            shutil.rmtree(os.environ[METRICS_DIR_VARIABLE], ignore_errors=True)


def _restart_with_shared_metrics() -> None:
    """Execute this same command again, with shared metrics files: prometheus-client chooses them at import."""
    os.environ[METRICS_DIR_VARIABLE] = tempfile.mkdtemp(prefix=METRICS_DIR_PREFIX)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


class Workers:
    """Supervises the worker processes that share a port."""

    def __init__(self, *, settings: Settings, main: Main) -> None:
        self._settings = settings
        self._main = main
        self._started_at: dict[int, float] = {}
        self._short_lives = 0
        self._stopping = False

    def run(self) -> int:
        """Start them, replace those that die, stop them all at a signal."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._settings.workers):
            self._start()
        while self._started_at:
            pid, status = os.wait()
            self._on_exit(pid, os.waitstatus_to_exitcode(status))
        return 1 if self._short_lives >= MAX_SHORT_LIVES else 0

    def _start(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._work()
        self._started_at[pid] = time.monotonic()
        if self._stopping:  # the signal came during the fork
            os.kill(pid, signal.SIGTERM)

    def _work(self) -> None:
        """The child: never returns into the parent's code."""
        code = 1
        try:
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            on_loop(self._main(self._settings))
            code = 0
        except SetupError as error:
            sys.stderr.write(f"{error}\n")
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            log.exception("prefork.worker.crashed")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _on_exit(self, pid: int, code: int) -> None:
        lived = time.monotonic() - self._started_at.pop(pid, 0.0)
        _drop_gauges(pid)
        if self._stopping:
            return
        log.error("prefork.worker.died", pid=pid, exit_code=code, lived_seconds=round(lived, 1))
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE_SECONDS else 0
        if self._short_lives >= MAX_SHORT_LIVES:
            self._stop()
        else:
            time.sleep(min(MIN_BACKOFF_SECONDS * 2**self._short_lives, MAX_BACKOFF_SECONDS))
            if not self._stopping:
                self._start()

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for pid in self._started_at:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def _reserved_port(settings: Settings) -> Iterator[int]:
    """The port, bound but not listened on by the parent, so that it stays reserved while workers restart.

    It is first bound exclusively: SO_REUSEPORT alone would share it with an older service that still runs.
    """
    kind = family(settings)
    try:
        with socket.socket(kind) as exclusive:
            exclusive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            exclusive.bind((settings.host, settings.port))
            exclusive.listen()
            port = exclusive.getsockname()[1]
        reserved = socket.socket(kind)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((settings.host, port))
    except OSError as error:
        raise port_taken(settings, error) from error
    with reserved:
        yield port


def _drop_gauges(pid: int) -> None:
    """Remove a dead process's gauges from the shared metrics."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
