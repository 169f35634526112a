"""One data folder: its secrets, who runs its engines, and their addresses. Knows files; starts nothing.

``secrets.json`` and ``engines.json`` are readable by their owner only. The lock is held by the process that runs the
engines and by the engines themselves, so it is free only when all of them are gone.
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
"""Seconds to wait for engines whose owner is gone to finish stopping."""


def default_data() -> Path:
    """Where `up` keeps its data: .data in the current folder."""
    return Path.cwd() / ".data"


@dataclass(frozen=True)
class DataFolder:
    """The folder and the files in it."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataFolder:
        """The one at `path`, which need not exist."""
        return cls(path.absolute())

    @property
    def state_file(self) -> Path:
        """Who runs here and where it answers; there only while something runs."""
        return self.root / "engines.json"

    @property
    def secrets_file(self) -> Path:
        """The generated passwords and keys."""
        return self.root / "secrets.json"

    def secret(self, name: str, owner: Path | None = None) -> str:
        """The secret of this name, made at its first use (256 bits, URL-safe).

        `owner` is a folder that cannot be opened without it: when that is there and the secret is not, raises
        `LostSecrets` rather than make another.
        """
        known = self._read(self.secrets_file)
        if name not in known:
            if owner and owner.exists():
                raise LostSecrets(data=self.root, path=self.secrets_file)
            known[name] = secrets.token_hex(32)
            write_private(self.secrets_file, known)
        return str(known[name])

    def state(self) -> dict[str, Any]:
        """What the running process wrote, or nothing."""
        return self._read(self.state_file)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write down who runs here, for other terminals."""
        write_private(self.state_file, {"pid": os.getpid(), **state})

    def running_pid(self) -> int | None:
        """The process that runs the engines here, or None."""
        pid = self.state().get("pid")
        return pid if isinstance(pid, int) and _lives(pid) and self._is_locked() else None

    @asynccontextmanager
    async def owned(self) -> AsyncIterator[Lock]:
        """This folder for this process alone, while the context is open. Raises as `acquire`."""
        lock = await self.acquire()
        try:
            yield lock
        finally:
            self.state_file.unlink(missing_ok=True)
            lock.close()

    async def acquire(self) -> Lock:
        """Take this folder for this process. Raises `AlreadyRunning` when another process has it.

        Engines that outlive a crashed owner stop by themselves; they are waited for.
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

    async def stop_running(self, limit: float = 90.0) -> int | None:
        """Ask the process that runs here to stop and wait; returns its id, or None when none ran."""
        if pid := self.running_pid():
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + limit
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
    """The lock of a data folder; its descriptor is handed to the engines, which hold it as long as they live."""

    def __init__(self, path: Path, mode: str = "a") -> None:
        self._file = path.open(mode)

    def taken(self) -> bool:
        """Try to take it, without waiting."""
        return cache.lock(self._file)

    @property
    def descriptor(self) -> int:
        """What the engines inherit."""
        return self._file.fileno()

    def close(self) -> None:
        """Let go; it is free once the engines are gone too."""
        self._file.close()


@contextmanager
def _probe(path: Path) -> Iterator[Lock]:
    lock = Lock(path, "r")
    try:
        yield lock
    finally:
        lock.close()


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that only its owner may read, in one step: a reader sees the old file or the whole new one."""
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
