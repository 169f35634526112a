"""How Valkey or Redis fails, as one error of ours with the operator's words. Knows redis-py's errors, no command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisClusterException, RedisError

from graph_service import metrics
from graph_service.concurrency import cancellation
from graph_service.errors import QueueUnavailable

AWAY = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What a call raises while an engine is away."""


@contextmanager
def answering() -> Iterator[None]:
    """A block that waits for the engine. Raises `QueueUnavailable` for every way in which it may fail."""
    try:
        with cancellation.propagate_cancellation():
            yield
    except (*AWAY, AttributeError) as error:
        # redis-py: a connection that another task closes while it is being opened (a Cluster's servers were learnt
        # again) is used all the same, and has no writer by then.
        if isinstance(error, AttributeError) and error.obj is not None:
            raise
        kind, reason = _why(error)
        metrics.QUEUE_FAILED.labels(kind).inc()
        raise QueueUnavailable(reason=reason) from error


def _why(error: Exception) -> tuple[str, str]:
    """In one word for the count, and in the operator's words: both conditions end without a restart of ours."""
    if isinstance(error, OutOfMemoryError):
        return "full", "it is full: raise its maxmemory, or see which stream does not drain"
    if isinstance(error, ReadOnlyError):
        return "read_only", "it takes no writes: REDIS_URL points at a replica"
    return "away", str(error) or type(error).__name__
