"""Supervisor: named tasks that live as long as the process; the end of one ends them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from graph_service.concurrency import cancellation
from pubnub_bridge.errors import TaskDied

_log = structlog.get_logger(__name__)


async def supervise(
    calls: Mapping[str, Awaitable[object]],
    *,
    stop: Awaitable[object] | None = None,
    drain: Callable[[], Awaitable[None]] | None = None,
    cancel_seconds: float = 1.0,
) -> None:
    """Run all until `stop` returns or the caller is cancelled; then none of them runs any more.

    A caller that is cancelled may `drain` first, while all still run. A cancelled task that goes on for
    `cancel_seconds` is cancelled again, so that one which drains itself needs more of them than it drains for.

    Raises:
        TaskDied: one of them ended, with or without an error.
    """
    tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
    stopping = [asyncio.ensure_future(stop)] if stop is not None else []
    everything = [*tasks.values(), *stopping]
    try:
        done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        if drain is not None:
            await drain()
        raise
    finally:
        await cancellation.cancel_and_wait(everything, every_seconds=cancel_seconds)
    if done.intersection(stopping):
        return
    name = next(name for name, task in tasks.items() if task in done)
    error = None if tasks[name].cancelled() else tasks[name].exception()
    _log.error("process.task.died", task=name, exc_info=error)
    raise TaskDied(task=name, reason=repr(error) if error else "without an error") from error
