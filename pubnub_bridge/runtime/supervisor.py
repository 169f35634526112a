"""Named tasks that live as long as the process: the death of one ends them all. Knows no task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from graph_service.concurrency import cancellation
from pubnub_bridge.errors import TaskDied

_log = structlog.get_logger(__name__)


async def run_until_one_ends(
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
        await cancellation.cancel_and_wait(tasks.values())
    name = next(name for name, task in tasks.items() if task in done)
    error = None if tasks[name].cancelled() else tasks[name].exception()
    _log.error("task died", task=name, exc_info=error)
    raise TaskDied(task=name, reason=repr(error) if error else "without an error") from error


async def run_until_stopped(calls: dict[str, Awaitable[object]]) -> None:
    """Waits for the call named "stop"; the end of anything else is a death.

    Raises:
        TaskDied: it was another.
    """
    tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
    await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    ended = [name for name, task in tasks.items() if task.done()]
    for task in tasks.values():
        task.cancel()
    results = await asyncio.gather(*tasks.values(), return_exceptions=True)
    if "stop" not in ended:
        reason = next(
            (repr(result) for result in results if isinstance(result, Exception)), "without an error"
        )
        _log.error("task died", task=ended[0], reason=reason)
        raise TaskDied(task=ended[0], reason=reason)
