"""The service itself, API and bridge, as a process of its own. Knows its command line and where it says it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graph_service.errors import FriendsError
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Program
from local_stack.engines.server import NotReadyYet


@dataclass
class ServiceEngine:
    """How to run one service."""

    log: Path
    environ: Mapping[str, str] = field(repr=False)
    """Its options, secrets among them."""

    name = "friends-presence"
    port_option = "--port"
    todo = "Its log says why."

    async def prepare(self, port: int) -> Program:
        """Its options but the port are fixed."""
        environ = {**self.environ, "HOST": LOOPBACK, "PORT": str(port)}
        command = [sys.executable, "-m", "pubnub_bridge"]
        return Program(self.name, command, self.log, grace=20.0, environ=environ)

    async def ask(self, port: int) -> str:
        """Whether it says that it is ready."""
        from local_stack.engines import probe  # noqa: PLC0415 - imports the clients

        try:
            await probe.http(f"{self.url(port)}/readyz")
        except FriendsError as error:
            raise NotReadyYet(str(error)) from error
        return self.name

    @staticmethod
    def url(port: int) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{port}"
