"""The overload benchmark counts outcomes by kind and names the promises that were not kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle

from bench.system.flood import Flood
from bench.system.overload import MAX_P99_MILLISECONDS, Result, chart, figures, recovery


def response(status: int, body: bytes) -> bytes:
    """A complete HTTP response."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


GOOD = response(200, b"{}")
REJECTED = response(503, b'{"code": "overloaded", "retryAfter": 1}')
REJECTED_WITHOUT_TIME = response(503, b"{}")
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@asynccontextmanager
async def answering(*responses: bytes) -> AsyncIterator[int]:
    """A server that sends these responses in round robin; an empty one closes the connection."""
    queue = cycle(responses)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            response = next(queue)
            writer.write(response)
            if not response:
                break
        writer.close()

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serving, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_every_kind_of_outcome_is_counted() -> None:
    """Answered, rejected with and without `retryAfter`, lost connection; offered is their sum."""
    async with answering(GOOD, REJECTED, REJECTED_WITHOUT_TIME, b"") as port:
        flood = Flood(port, os.getpid())
        seconds = await flood.at(lambda _number: REQUEST, 40.0, 1)
        flood.close()
    assert sum(flood.outcomes.values()) == sum(one.offered for one in seconds) > 20
    assert {"200", "503 overloaded", "503 without a time"} <= set(flood.outcomes)
    assert flood.total.answered.timing().calls == flood.outcomes["200"]
    assert flood.total.rejected.timing().calls == flood.outcomes["503 overloaded"]


async def test_recovery_is_immediate_when_all_requests_succeed() -> None:
    """Twenty requests in a row."""
    async with answering(GOOD) as port:
        seconds, rejected, answered = await recovery(lambda _number: REQUEST, (port, os.getpid()), 5000.0)
    assert (seconds, rejected, answered) == (0.0, 0, 20)


def test_a_result_names_each_promise_that_was_not_kept() -> None:
    """One after the other."""
    good = Result(
        entry="sync",
        capacity=100.0,
        rate=200.0,
        seconds=10,
        timeline=[],
        answered=1000,
        rejected=1000,
        failed=0,
        outcomes={"200": 1000},
        calm_p99_ms=10.0,
        p50_ms=50.0,
        p99_ms=500.0,
        most_ms=900.0,
        rejected_p99_ms=5.0,
        memory_before_mib=100.0,
        memory_most_mib=110.0,
        recovered_s=0.5,
        counted=True,
        whole=None,
    )
    assert all(good.checks.values())
    assert figures(good)["answered_per_second"] == 100.0
    assert chart([good]).startswith("<svg")
    broken = {
        "memory bounded": {"memory_most_mib": 400.0},
        "answered in time": {"p99_ms": MAX_P99_MILLISECONDS + 1},
        "the rest rejected with retryAfter": {"failed": 1},
        "recovered within seconds": {"recovered_s": -1.0},
        "counted": {"counted": False},
        "webhooks whole": {"whole": False},
    }
    assert set(broken) == set(good.checks)
    for what, change in broken.items():
        checks = replace(good, **change).checks  # type: ignore[arg-type]
        assert [name for name, fine in checks.items() if not fine] == [what]
