"""A process that serves the API with stand-in use cases: for tests of processes, ports and signals.

Run with the options in the environment; prints the process id and the address of each worker that listens.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import cast

from graph_service import logging, prefork, server
from graph_service.api.app import build_app, open_authenticator
from graph_service.api.services import Services
from graph_service.errors import SetupError
from graph_service.settings import Settings, load
from tests.support.standins import StandInParts


async def main(settings: Settings) -> None:
    """One worker."""
    if "DIE" in os.environ:
        raise SetupError(what="this worker fails on purpose", todo="Unset DIE")
    services = StandInParts()
    async with open_authenticator(settings) as authenticator:
        app = build_app(settings, cast(Services, services), authenticator)
        async with server.listening(app, settings) as address:
            stopped = asyncio.create_task(server.until_stopped(settings, services.readiness))
            await asyncio.sleep(0)  # a signal may come as soon as the test has read the next line
            sys.stdout.write(f"{os.getpid()} {address.url}\n")
            sys.stdout.flush()
            await stopped


if __name__ == "__main__":
    settings = load()
    logging.setup(settings.log_level, settings.log_format)
    try:
        sys.exit(prefork.run(settings, main))
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
