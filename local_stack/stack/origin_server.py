"""The local origin as a separate process: ``python -m local_stack.stack.origin_server``.

Its keys come from the environment (ORIGIN_OPTIONS, JSON), so that the process list does not show them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from graph_service.concurrency import gc_tuning
from graph_service.errors import FriendsError
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Program
from local_stack.engines.server import NotReadyYet

VARIABLE = "ORIGIN_OPTIONS"


@dataclass(kw_only=True)
class OriginEngine:
    """Runs one origin with one keyset (an `Engine`)."""

    log: Path
    publish_key: str
    subscribe_key: str
    secret_key: str
    access_manager: bool = True
    control: bool = False
    """Serve /_control/, which lets any local program cause faults."""

    name = "origin"
    port_option = "--origin-port"
    todo = "See its log."

    async def prepare(self, port: int) -> Program:
        """Writes no files: the origin's state is in memory."""
        options = {
            "port": port,
            "publish_key": self.publish_key,
            "subscribe_key": self.subscribe_key,
            "secret_key": self.secret_key,
            "control": self.control,
        }
        serialized = json.dumps({"options": options, "settings": {"access_manager": self.access_manager}})
        return Program(
            name=self.name,
            command=[sys.executable, "-m", __name__],
            log=self.log,
            grace=5.0,
            environ={**os.environ, VARIABLE: serialized},
        )

    async def ask(self, port: int) -> str:
        """Ready when ``/time/0`` succeeds."""
        from local_stack.engines import probe  # noqa: PLC0415 - imports the clients

        try:
            await probe.http(f"http://{LOOPBACK}:{port}/time/0")
        except FriendsError as error:
            raise NotReadyYet(str(error)) from error
        return "local origin"


async def serve(serialized: str) -> None:
    """Serve the origin until SIGTERM."""
    from local_stack.origin.app import Options, start  # noqa: PLC0415 - only the child process needs it
    from local_stack.origin.settings import KeysetSettings  # noqa: PLC0415

    parsed = json.loads(serialized)
    settings = KeysetSettings.model_validate(parsed["settings"])
    running = await start(Options(settings=settings, **parsed["options"]))
    gc_tuning.tune_gc()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await running.close()


def main() -> None:
    """Run with uvloop where it is installed."""
    loop = importlib.import_module("uvloop" if importlib.util.find_spec("uvloop") else "asyncio")
    loop.run(serve(os.environ[VARIABLE]))


if __name__ == "__main__":
    main()
