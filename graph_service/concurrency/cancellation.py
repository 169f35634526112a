"""Cancellation that is not lost in libraries.

`asyncio.wait_for` before Python 3.12 returns a result that arrives in the same iteration of the event loop as a
cancellation, and the cancellation is lost (CPython gh-86296); a loop around such a call would never end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def propagate_cancellation() -> Iterator[None]:
    """Raise `CancelledError` at the end of the block if the task was cancelled inside it, whatever the block did."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


async def cancel_and_wait(tasks: Iterable[asyncio.Future[Any]], every_seconds: float = 1.0) -> None:
    """Cancel all, and repeat it every `every_seconds` for those that continue, until none runs. Ignores their results."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=every_seconds)
