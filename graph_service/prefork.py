"""One process, or with WORKERS > 1 a parent that holds the port and starts that many processes on it (pre-fork).

A worker that dies is replaced, and where none lives long the parent gives up with exit code 1.
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
"""Seconds: a worker that dies younger counts towards giving up."""
MAX_SHORT_LIVES = 5
METRICS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client keeps the counts of several processes; it reads this when it is imported."""
METRICS_DIR_PREFIX = "friends-metrics-"
"""How such a folder begins when we made it and must remove it."""

log = structlog.get_logger(__name__)


def run(settings: Settings, main: Main) -> int:
    """Run `main` in one process, or in WORKERS of them on one port. Returns the exit code."""
    if settings.workers == 1:
        on_loop(main(settings))
        return 0
    if METRICS_DIR_VARIABLE not in os.environ:
        _begin_again()
    try:
        with _reserved(settings) as port:
            return Workers(settings.model_copy(update={"port": port}), main).run()
    finally:
        if Path(os.environ[METRICS_DIR_VARIABLE]).name.startswith(METRICS_DIR_PREFIX):
            shutil.rmtree(os.environ[METRICS_DIR_VARIABLE], ignore_errors=True)


def _begin_again() -> None:
    """Start this same command afresh, so that counting begins in shared files: that is chosen at import."""
    os.environ[METRICS_DIR_VARIABLE] = tempfile.mkdtemp(prefix=METRICS_DIR_PREFIX)
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
        for one in STOP_SIGNALS:
            signal.signal(one, self._stop)
        for _ in range(self._settings.workers):
            self._start()
        while self._born:
            pid, status = os.wait()
            self._ended(pid, os.waitstatus_to_exitcode(status))
        return 1 if self._short_lives >= MAX_SHORT_LIVES else 0

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
            for one in STOP_SIGNALS:
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
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE_SECONDS else 0
        if self._short_lives >= MAX_SHORT_LIVES:
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
    kind = family(settings)
    try:
        with socket.socket(kind) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((settings.host, settings.port))
            alone.listen()
            port = alone.getsockname()[1]
        held = socket.socket(kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((settings.host, port))
    except OSError as error:
        raise port_taken(settings, error) from error
    with held:
        yield port


def _forget_counts(pid: int) -> None:
    """Drop a dead process's gauges from the shared counts."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
