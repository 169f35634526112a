"""A failed call is repeated with backoff, and only for the errors that it is repeated for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from graph_service.concurrency.retry import retry_forever


@pytest.fixture
def _logs_at_every_level() -> Iterator[None]:
    """The run of the tests is quiet; this test reads what is logged."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.BoundLogger)
    yield
    structlog.configure(**before)


class Flaky:
    """Fails a number of times, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        """One attempt."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_it_returns_the_first_result() -> None:
    call = Flaky()
    assert await retry_forever(call, on=OSError, event="test.call") == "done"
    assert call.calls == 1


@pytest.mark.usefixtures("_logs_at_every_level")
async def test_it_repeats_on_the_named_errors_and_logs_each_wait() -> None:
    call = Flaky(OSError("away"), OSError())
    with capture_logs() as logs:
        assert await retry_forever(call, on=OSError, event="test.call", min_seconds=0.001) == "done"
    assert call.calls == 3
    found = [
        (one["event"], one["reason"], one["attempt"]) for one in logs if one["event"].startswith("test.")
    ]
    assert found == [("test.call.retrying", "away", 1), ("test.call.retrying", "OSError", 2)]


async def test_another_error_ends_it_at_once() -> None:
    call = Flaky(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await retry_forever(call, on=OSError, event="test.call", min_seconds=0.001)
    assert call.calls == 1


async def test_a_predicate_decides_as_well_as_a_class() -> None:
    call = Flaky(OSError("temporary"), OSError("final"))
    with pytest.raises(OSError, match="final"):
        await retry_forever(call, on=lambda e: "temporary" in str(e), event="test.call", min_seconds=0.001)
    assert call.calls == 2


async def test_a_cancellation_ends_the_wait() -> None:
    call = Flaky(*[OSError("away")] * 9)
    task = asyncio.create_task(retry_forever(call, on=OSError, event="test.call", min_seconds=60.0))
    while not call.calls:  # noqa: ASYNC110 - it has begun within a turn or two
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.calls == 1
