"""Terminals in a checkout, in which the commands of a page are typed as written.

Handles Markdown fences, bash, and commands that run until Ctrl-C. What the commands do is the tests' business.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMPS = (".base", ".run", ".dev")
OUTPUT_TIMEOUT_SECONDS = 300.0
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RUNS_ON = re.compile(r"make run\b|\.venv/bin/friends-presence (?:up|watch|join)\b")
_END = "__typed__"
HIDDEN = (
    "NEO4J_URI",
    "REDIS_URL",
    "ARGS",
    "MAKEFLAGS",
    "MAKEOVERRIDES",
    "MAKELEVEL",
    "VIRTUAL_ENV",
    "PYTHONPATH",
)


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text of every block of a page."""
    return _FENCE.findall(page.read_text("utf-8"))


def stays(command: str) -> bool:
    """Whether a block is a command that runs until Ctrl-C."""
    return bool(_RUNS_ON.match(command))


def checkout(folder: Path) -> Path:
    """A folder like a fresh checkout after `make dev`: links to this one, without data."""
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".data", ".git", "stack.json"}:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name not in STAMPS:
            (folder / ".venv" / path.name).symlink_to(path)
    # Newer than their sources, or `make` would install this folder.
    for name in STAMPS:
        (folder / ".venv" / name).touch()
    return folder


class Reader:
    """A reader with a shell and, in other terminals, commands that run on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        # A shorter debounce time than a reader's; what is shown stays the same.
        self._environ |= {"DEBOUNCE_ONLINE_SECONDS": "1", "DEBOUNCE_LEAVE_SECONDS": "1"}
        self._shell = self._start(["bash"], subprocess.PIPE)
        self._stay: list[tuple[subprocess.Popen[str], Path]] = []

    def _start(self, command: list[str], out: int, log: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=log.open("w") if log else out,
            stderr=subprocess.STDOUT if log else None,
            text=True,
            start_new_session=True,
        )

    def types(self, commands: str) -> str:
        """Run lines in the first terminal and return their stdout. A line that fails fails the test."""
        assert self._shell.stdin
        assert self._shell.stdout
        failed = "failed=0; trap 'failed=$?' ERR"
        self._shell.stdin.write(f"{failed}\n{{ {commands}\n}} </dev/null; echo {_END}$failed\n")
        self._shell.stdin.flush()
        output = []
        for line in self._shell.stdout:
            if _END in line:
                before, _, code = line.partition(_END)
                output.append(before)
                assert int(code) == 0, f"{commands}\n{''.join(output)}"
                return "".join(output)
            output.append(line)
        raise AssertionError(f"the shell ended at: {commands}")

    def leaves_running(self, command: str) -> Path:
        """Start a command that runs on in a new terminal; returns the file of its output."""
        log = self.folder / f"terminal-{len(self._stay)}.log"
        self._stay.append((self._start(["bash", "-c", f"exec {command.strip()}"], 0, log), log))
        return log

    def sees(self, log: Path, words: str) -> None:
        """Wait until a terminal shows this regular expression."""
        deadline = time.monotonic() + OUTPUT_TIMEOUT_SECONDS
        process = next(process for process, known in self._stay if known == log)
        while not re.search(words, log.read_text("utf-8")):
            assert process.poll() is None, f"it ended: {log.read_text('utf-8')}"
            assert time.monotonic() < deadline, f"no {words!r} in: {log.read_text('utf-8')}"
            time.sleep(0.05)

    def presses_ctrl_c(self, log: Path) -> None:
        """End what runs in that terminal as Ctrl-C does: a signal to the whole foreground group."""
        process = next(process for process, known in self._stay if known == log)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(60)

    def goes_home(self) -> None:
        """Ctrl-C in every terminal, the last one first."""
        for _, log in reversed(self._stay):
            self.presses_ctrl_c(log)
        self._shell.communicate("exit\n", timeout=10)


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """A reader at a fresh checkout in `folder`."""
    one = Reader(checkout(folder))
    try:
        yield one
    finally:
        one.goes_home()
