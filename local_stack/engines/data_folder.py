"""One data folder: its secrets, its lock, and the state of what runs on it. Starts nothing.

``secrets.json`` and ``engines.json`` are readable by their owner only. The lock is shared by the process that runs the
engines and by the engines, which inherit its descriptor: it is free only when all of them have ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack.errors import AlreadyRunning, LostSecrets
from local_stack.jars import cache

LOCK_TIMEOUT_SECONDS = 40.0
"""How long to wait for engines that still stop after their owner has crashed."""


def default_data() -> Path:
    """The default of --data: .data in the current folder."""
    return Path.cwd() / ".data"


@dataclass(frozen=True)
class DataFolder:
    """The paths in a data folder, and the operations on them."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataFolder:
        """The folder at `path`, which need not exist."""
        return cls(path.absolute())

    @property
    def state_file(self) -> Path:
        """Process id and addresses of what runs here; exists only while something runs."""
        return self.root / "engines.json"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    def secret(self, name: str, owner: Path | None = None) -> str:
        """The secret of this name, generated at its first use (256 bits, hexadecimal).

        `owner` is a folder that cannot be opened without the secret: where the folder exists and the secret does not,
        raises `LostSecrets` instead of generating another.
        """
        known = self._read(self.secrets_file)
        if name not in known:
            if owner and owner.exists():
                raise LostSecrets(data=self.root, path=self.secrets_file)
            known[name] = secrets.token_hex(32)
            write_private(self.secrets_file, known)
        return str(known[name])

    def state(self) -> dict[str, Any]:
        """What the running process wrote with `write_state`; empty when nothing runs."""
        return self._read(self.state_file)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Publish this process's id and `state` for other terminals."""
        write_private(self.state_file, {"pid": os.getpid(), **state})

    def running_pid(self) -> int | None:
        """The process that runs the engines here, or None."""
        pid = self.state().get("pid")
        return pid if isinstance(pid, int) and _lives(pid) and self._is_locked() else None

    @asynccontextmanager
    async def owned(self) -> AsyncIterator[Lock]:
        """Lock the folder for this process while the context is open. Raises as `acquire`."""
        lock = await self.acquire()
        try:
            yield lock
        finally:
            self.state_file.unlink(missing_ok=True)
            lock.close()

    async def acquire(self) -> Lock:
        """Lock the folder for this process. Raises `AlreadyRunning` when another process has it.

        Engines that outlive a crashed owner are stopped by their supervisors; this waits for them.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = Lock(self.root / ".lock")
        until = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while not lock.taken():
            if (pid := self.running_pid()) or time.monotonic() > until:
                lock.close()
                raise AlreadyRunning(data=self.root, pid=pid or "unknown", reach=self._reach())
            await asyncio.sleep(0.1)
        self.write_state({"ready": False})
        return lock

    def _reach(self) -> str:
        servers = self.state().get("servers", [])
        return "".join(f", {server['name']} at {server['address']}" for server in servers)

    async def stop_running(self, timeout_seconds: float = 90.0) -> int | None:
        """Send SIGTERM to the process that runs here and wait; returns its id, or None when none ran."""
        if pid := self.running_pid():
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + timeout_seconds
        while self._is_locked() and time.monotonic() < until:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
        return pid

    def _is_locked(self) -> bool:
        with suppress(FileNotFoundError), _probe(self.root / ".lock") as lock:
            return not lock.taken()
        return False

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            found = json.loads(path.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        return {}


class Lock:
    """The lock of a data folder. Child processes inherit its descriptor and so keep it locked until they end."""

    def __init__(self, path: Path, mode: str = "a") -> None:
        self._file = path.open(mode)

    def taken(self) -> bool:
        """Try to lock, without waiting; False when another process has the lock."""
        return cache.lock(self._file)

    @property
    def descriptor(self) -> int:
        """The file descriptor that child processes inherit."""
        return self._file.fileno()

    def close(self) -> None:
        """Release this process's part; the lock is free once the engines have ended too."""
        self._file.close()


@contextmanager
def _probe(path: Path) -> Iterator[Lock]:
    lock = Lock(path, "r")
    try:
        yield lock
    finally:
        lock.close()


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with mode 0600, atomically: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(path)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
