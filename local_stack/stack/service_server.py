"""The service, API and bridge, as a separate process: its command line and its readiness check."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graph_service.errors import FriendsError
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Program
from local_stack.engines.server import NotReadyYet


@dataclass(kw_only=True)
class ServiceEngine:
    """Runs one service (an `Engine`)."""

    log: Path
    environ: Mapping[str, str] = field(repr=False)
    """Settings, including secrets."""

    name = "friends-presence"
    port_option = "--port"
    todo = "See its log."

    async def prepare(self, port: int) -> Program:
        """Only host and port are added to the settings."""
        environ = {**self.environ, "HOST": LOOPBACK, "PORT": str(port)}
        command = [sys.executable, "-m", "pubnub_bridge"]
        return Program(name=self.name, command=command, log=self.log, grace=20.0, environ=environ)

    async def ask(self, port: int) -> str:
        """Ready when ``/readyz`` succeeds."""
        from local_stack.engines import probe  # noqa: PLC0415 - imports the clients

        try:
            await probe.http(f"{self.url(port)}/readyz")
        except FriendsError as error:
            raise NotReadyYet(str(error)) from error
        return self.name

    @staticmethod
    def url(port: int) -> str:
        return f"http://{LOOPBACK}:{port}"
