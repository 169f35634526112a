"""Run a coroutine in the foreground until it ends or SIGINT, SIGTERM or SIGHUP cancels it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, None], report: Callable[[str], None]) -> None:
    """Run `main`; the first signal cancels it, so that what it opened is closed in reverse order.

    A second signal ends this process at once; the supervisors of the programs it started then stop them.
    """
    asyncio.run(_until_signal(main, report))


async def _until_signal(main: Coroutine[Any, Any, None], report: Callable[[str], None]) -> None:
    task = asyncio.ensure_future(main)
    asked = False

    def ask(number: signal.Signals) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        report("stopping")
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, ask, number)
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
