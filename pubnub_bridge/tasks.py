"""Named tasks that live as long as the process: the death of one ends them all. Knows no task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from graph_service import cancelling
from pubnub_bridge.errors import TaskDied

_log = structlog.get_logger(__name__)


async def until_one_dies(
    calls: Mapping[str, Awaitable[object]], drain: Callable[[], Awaitable[None]]
) -> None:
    """Runs all until the caller is cancelled; then they may `drain`, and after that none of them runs any more.

    Raises:
        TaskDied: one of them ended, with or without an error.
    """
    tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
    try:
        done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await drain()
        raise
    finally:
        await cancelling.ended(tasks.values())
    name = next(name for name, task in tasks.items() if task in done)
    error = None if tasks[name].cancelled() else tasks[name].exception()
    _log.error("task died", task=name, exc_info=error)
    raise TaskDied(task=name, reason=repr(error) if error else "without an error") from error
