"""Supervisor process: runs one program and ends it when the parent process has ended, however that happened.

Standard library only, and started as a file (``python -I -S supervisor.py SECONDS LOG PROGRAM ARGUMENTS…``), so that
it costs 20 ms and 10 MB.

The parent keeps the other end of standard input open and never writes. End of file there (the parent ended or crashed)
or SIGTERM stops the program: SIGTERM, then SIGKILL after SECONDS. Standard output carries one line, the program's
process id. If this process is killed, Linux ends the program (PR_SET_PDEATHSIG).
The exit status is the program's, or 128 + n when signal n ended it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 1.0
"""How often the parent's process id is checked as well: a fork of the parent can keep the pipe open."""


def main() -> int:
    """Run the program until it or the parent ends; returns the exit status."""
    grace, log, *command = sys.argv[1:]
    parent = os.getppid()
    wakeup, woken = os.pipe()
    for end in (wakeup, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    stop_asked = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: stop_asked.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = _start(command, log)
    print(child.pid, flush=True)  # noqa: T201 - the handshake with the parent
    while child.poll() is None:
        readable, _, _ = select.select([sys.stdin, wakeup], [], [], POLL_SECONDS)
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, 512)
        if sys.stdin in readable or stop_asked or os.getppid() != parent:
            _stop(child, float(grace))
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _start(command: list[str], log: str) -> subprocess.Popen[bytes]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    # Inherited descriptors stay open, so the data folder stays locked until the program has ended.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=descriptor,
        stderr=descriptor,
        close_fds=False,
        preexec_fn=_die_with_me,  # noqa: PLW1509 - this process has one thread
    )


def _die_with_me() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(child: subprocess.Popen[bytes], grace: float) -> None:
    child.terminate()
    until = time.monotonic() + grace
    while child.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    if child.poll() is None:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main())
