"""Retry with exponential backoff and jitter, on stamina: the endless retry of one call.

Loops that sleep between their steps anyway keep their own wait: decision 18 lists them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import stamina
import structlog

MIN_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
_log = structlog.get_logger(__name__)
Params = ParamSpec("Params")
Result = TypeVar("Result")
Errors = type[Exception] | tuple[type[Exception], ...]


async def retry_forever(
    call: Callable[[], Awaitable[Result]],
    *,
    on: Errors | Callable[[Exception], bool],
    event: str,
    min_seconds: float = MIN_BACKOFF_SECONDS,
    max_seconds: float = MAX_BACKOFF_SECONDS,
) -> Result:
    """Await `call()` until it does not raise `on`; between two attempts it waits longer each time, with jitter.

    `on` is an error, several, or a predicate. `event` is the operation in logs: each wait is logged as
    ``{event}.retrying``. Every other error, and a cancellation, ends it at once.
    """
    attempts = stamina.retry_context(
        on=on,
        attempts=None,
        timeout=None,
        wait_initial=min_seconds,
        wait_max=max_seconds,
        wait_jitter=min_seconds,
    )
    async for attempt in attempts:
        with attempt:
            try:
                return await call()
            except Exception as error:
                if _matches(error, on):
                    seconds = round(attempt.next_wait, 3)
                    _log.warning(
                        f"{event}.retrying", reason=reason_of(error), attempt=attempt.num, seconds=seconds
                    )
                raise
    raise AssertionError("an endless retry ended")


def reason_of(error: Exception) -> str:
    """What an error says, in 300 characters at most; its class where it says nothing."""
    return str(error)[:300] or type(error).__name__


def _matches(error: Exception, on: Errors | Callable[[Exception], bool]) -> bool:
    return isinstance(error, on) if isinstance(on, type | tuple) else on(error)
