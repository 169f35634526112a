"""Run a program as a supervised child: it ends when this process ends, however that happens.

The supervisor (`supervisor.py`) sits between the two: it watches a pipe from this process and stops the program when
the pipe closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

SUPERVISOR = Path(__file__).with_name("supervisor.py")
MAX_LOG_BYTES = 8 * 2**20
"""A longer log is deleted at the next start."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run."""

    name: str
    """Used in messages."""
    command: Sequence[str | Path]
    log: Path
    """File for its output."""
    grace: float = 30.0
    """Seconds between SIGTERM and SIGKILL."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    inherited_fds: tuple[int, ...] = ()
    """Descriptors that stay open until the program has ended."""


class Process:
    """One run of a program."""

    def __init__(self, *, program: Program, popen: subprocess.Popen[bytes], pid: int) -> None:
        self.program = program
        self.pid = pid
        """Of the program, not of its supervisor."""
        self._popen = popen

    @classmethod
    def start(cls, program: Program) -> Process:
        """Start it. Returns once its process exists, which is long before it is ready."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists() and program.log.stat().st_size > MAX_LOG_BYTES:
            program.log.unlink()
        popen = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR, str(program.grace), program.log, *program.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(program.environ),
            pass_fds=program.inherited_fds,
            # Ctrl-C in a terminal must reach only this process, which then stops the programs in order.
            start_new_session=True,
        )
        with cast("IO[bytes]", popen.stdout) as stdout:
            line = stdout.readline()
        if not line.strip():
            raise ChildProcessError(f"{program.name} could not be started: {program.command[0]}")
        return cls(program=program, popen=popen, pid=int(line))

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + n when signal n ended it."""
        return self._popen.poll()

    async def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - works in any loop, and in none of 3.11's threads
            await asyncio.sleep(0.05)
        return code

    async def stop(self) -> int:
        """SIGTERM, then SIGKILL after `Program.grace` seconds; returns the exit code once it has ended."""
        cast("IO[bytes]", self._popen.stdin).close()
        return await self.ended()

    async def kill(self) -> int:
        """End it at once with SIGKILL, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return await self.ended()

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return tail(self.program.log, lines)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a file, or in parentheses why there are none."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, lines)).rstrip() or "(empty)"
    except OSError as error:
        return f"(cannot be read: {error.strerror})"
