"""Scheduler: jobs at intervals; the only file that knows APScheduler.

A job that is still running is not started again; one that was missed runs once; one that fails is logged and counted,
and runs again after its interval.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from prometheus_client import Counter

FAILED = Counter("friends_jobs_failed_total", "Jobs that raised, by name.", ("job",))
MISFIRE_GRACE_SECONDS = 30
"""How late a missed job may still run."""
MAX_JITTER_SECONDS = 1.0
"""Before the first call, so that the jobs of all processes do not run together."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One call at an interval."""

    name: str
    seconds: float
    call: Callable[[], Awaitable[object]]
    first: float = 0.0
    """Seconds until the first call."""


@asynccontextmanager
async def running(jobs: list[Job]) -> AsyncIterator[None]:
    """All jobs, while the block runs."""
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_GRACE_SECONDS},
    )
    scheduler.add_listener(_failed, EVENT_JOB_ERROR)
    for job in jobs:
        start = datetime.now(UTC) + timedelta(
            seconds=job.first + random.uniform(0.0, min(MAX_JITTER_SECONDS, job.seconds))
        )
        scheduler.add_job(
            job.call, "interval", seconds=job.seconds, id=job.name, next_run_time=start, name=job.name
        )
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def _failed(event: Any) -> None:
    FAILED.labels(event.job_id).inc()
    _log.warning("scheduler.job.failed", job=event.job_id, reason=str(event.exception))
