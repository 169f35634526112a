"""A program ends with its parent, however the parent ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local_stack.engines.process import MAX_LOG_BYTES, Process, Program, tail

SLEEPER = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal; signal.signal(15, lambda *_: None); print('here', flush=True)\nwhile True: signal.pause()",
)


def program(log: Path, command: tuple[str, ...] = SLEEPER, **more: object) -> Program:
    """A program for a test."""
    return Program(name="sleeper", command=command, log=log, **more)  # type: ignore[arg-type]


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not count."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the second if it ends while it is read
        return False


async def until_gone(pid: int, seconds: float = 10.0) -> bool:
    """Wait for the end of a process that is not a child."""
    until = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < until:  # noqa: ASYNC110 - not our child
        await asyncio.sleep(0.02)
    return not lives(pid)


async def until_said(process: Process) -> None:
    """Wait for the program's first output."""
    while "here" not in process.tail():  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)


async def test_a_stopped_program_is_gone(tmp_path: Path) -> None:
    """SIGTERM ends it, and the exit code shows that."""
    process = Process.start(program(tmp_path / "log"))
    assert lives(process.pid)
    assert process.exit_code is None
    assert await process.stop() == 128 + signal.SIGTERM
    assert not lives(process.pid)


async def test_a_program_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = Process.start(program(tmp_path / "log", STUBBORN, grace=0.3))
    await until_said(process)
    began = time.monotonic()
    assert await process.stop() == 128 + signal.SIGKILL
    assert 0.25 < time.monotonic() - began < 5


async def test_a_killed_program_says_so(tmp_path: Path) -> None:
    process = Process.start(program(tmp_path / "log"))
    assert await process.kill() == 128 + signal.SIGKILL
    assert not lives(process.pid)


async def test_the_exit_code_of_a_program_comes_through(tmp_path: Path) -> None:
    """Its output is in its log."""
    process = Process.start(
        program(tmp_path / "log", (sys.executable, "-c", "print('so long'); raise SystemExit(7)"))
    )
    assert await process.ended() == 7
    assert process.tail() == "so long"


def test_a_missing_program_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError, match="sleeper"):
        Process.start(program(tmp_path / "log", ("/nowhere/program",)))


PARENT = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from local_stack.engines.process import Process, Program
process = Process.start(Program(name="sleeper", command=sys.argv[2:], log=Path(sys.argv[1])))
print(process.pid, process._popen.pid, flush=True)
time.sleep(60)
"""


def parent(log: Path) -> tuple[subprocess.Popen[str], int, int]:
    """A new parent process, its program and the supervisor between them."""
    popen = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(log), *SLEEPER], stdout=subprocess.PIPE, text=True
    )
    assert popen.stdout
    child, supervisor = map(int, popen.stdout.readline().split())
    return popen, child, supervisor


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_program_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """Not even when the parent is killed by SIGKILL."""
    popen, child, supervisor = parent(tmp_path / "log")
    assert lives(child)
    os.kill(popen.pid, number)
    assert await until_gone(child)
    assert await until_gone(supervisor)
    popen.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_no_program_outlives_its_supervisor(tmp_path: Path) -> None:
    process = Process.start(program(tmp_path / "log"))
    os.kill(process._popen.pid, signal.SIGKILL)
    assert await until_gone(process.pid)
    await process.ended()


async def test_an_inherited_descriptor_stays_open_until_the_program_has_ended(tmp_path: Path) -> None:
    """The other end of a pipe gets end of file only then."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    process = Process.start(program(tmp_path / "log", inherited_fds=(write,)))
    os.close(write)
    with pytest.raises(BlockingIOError):
        os.read(read, 1)
    await process.stop()
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_long_log_is_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    asyncio.run(Process.start(program(log)).kill())
    assert log.stat().st_size < 1000


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    """Undecodable bytes and a missing file are no error."""
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\n\xff three\n")
    assert tail(log, 2) == "two\n� three"
    assert "cannot be read" in tail(tmp_path / "none")
