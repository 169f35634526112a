"""Cancellation that gets through libraries which lose it. Knows tasks, no library.

`asyncio.wait_for` before Python 3.12 gives a result that came in the same turn of the loop as the cancellation, and
the cancellation is gone (CPython gh-86296); a loop around such a call would never end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def propagate_cancellation() -> Iterator[None]:
    """Ends with `CancelledError` where the running task was cancelled inside the block, whatever the block made of it."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


async def cancel_and_wait(tasks: Iterable[asyncio.Future[Any]], every: float = 1.0) -> None:
    """Cancels all, and those that go on again `every` seconds, until none runs. Their results are not looked at."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=every)
