"""Every failure of Valkey or Redis as `QueueUnavailable`, with a reason for operators and a metric."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisClusterException, RedisError

from graph_service import metrics
from graph_service.concurrency import cancellation
from graph_service.concurrency.retry import retry_forever
from graph_service.errors import QueueUnavailable

AWAY = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What redis-py raises while a server is away."""
MAX_BACKOFF_SECONDS = 1.0
"""Until a queue is tried again."""
retry_queue = partial(retry_forever, on=QueueUnavailable, max_seconds=MAX_BACKOFF_SECONDS)
"""Await a call of Valkey, or of another queue, until it is available."""


@contextmanager
def answering() -> Iterator[None]:
    """Wrap calls to Valkey: raises `QueueUnavailable` for every failure, and preserves cancellation."""
    try:
        with cancellation.propagate_cancellation():
            yield
    except (*AWAY, AttributeError) as error:
        # redis-py uses a connection even if another task closes it while it is being opened (when the topology of a
        # Cluster is refreshed); its writer is None by then.
        if isinstance(error, AttributeError) and error.obj is not None:
            raise
        kind, reason = _why(error)
        metrics.QUEUE_FAILED.labels(kind).inc()
        raise QueueUnavailable(reason=reason) from error


def _why(error: Exception) -> tuple[str, str]:
    """The metric's label, and the reason in plain words. Both conditions are fixed without a restart of ours."""
    if isinstance(error, OutOfMemoryError):
        return "full", "it is full: raise its maxmemory, or see which stream does not drain"
    if isinstance(error, ReadOnlyError):
        return "read_only", "it takes no writes: REDIS_URL points at a replica"
    return "away", str(error) or type(error).__name__
