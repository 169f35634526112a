"""The flood counts what came back for what it was, and a result says itself what did not hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle

from bench.system.flood import Flood
from bench.system.overload import LATE_MS, Result, chart, figures, recovery


def answer(status: int, body: bytes) -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


GOOD = answer(200, b"{}")
AWAY = answer(503, b'{"code": "overloaded", "retryAfter": 1}')
RUDE = answer(503, b"{}")
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """A server that gives these answers in turn; an empty one closes the connection."""
    turns = cycle(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            given = next(turns)
            writer.write(given)
            if not given:
                break
        writer.close()

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serving, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_every_kind_of_answer_is_counted_for_what_it_is() -> None:
    """Answered, sent away with a time, sent away without one, lost; offered is their sum."""
    async with answering(GOOD, AWAY, RUDE, b"") as port:
        flood = Flood(port, os.getpid())
        seconds = await flood.at(lambda _number: REQUEST, 40.0, 1)
        flood.close()
    assert sum(flood.how.values()) == sum(one.offered for one in seconds) > 20
    assert {"200", "503 overloaded", "503 without a time"} <= set(flood.how)
    assert flood.total.well.timing().calls == flood.how["200"]
    assert flood.total.away.timing().calls == flood.how["503 overloaded"]


async def test_recovery_is_when_twenty_calls_in_a_row_are_fine() -> None:
    """At once where nothing is wrong."""
    async with answering(GOOD) as port:
        seconds, away, answered = await recovery(lambda _number: REQUEST, (port, os.getpid()), 5000.0)
    assert (seconds, away, answered) == (0.0, 0, 20)


def test_a_result_says_what_did_not_hold() -> None:
    """Each of the promises by itself."""
    good = Result(
        entry="sync",
        capacity=100.0,
        rate=200.0,
        seconds=10,
        timeline=[],
        answered=1000,
        sent_away=1000,
        failed=0,
        how={"200": 1000},
        calm_p99_ms=10.0,
        p50_ms=50.0,
        p99_ms=500.0,
        most_ms=900.0,
        away_p99_ms=5.0,
        memory_before_mib=100.0,
        memory_most_mib=110.0,
        recovered_s=0.5,
        counted=True,
        whole=None,
    )
    assert all(good.held.values())
    assert figures(good)["answered_per_second"] == 100.0
    assert chart([good]).startswith("<svg")
    broken = {
        "memory bounded": {"memory_most_mib": 400.0},
        "answered in time": {"p99_ms": LATE_MS + 1},
        "the rest told when to come back": {"failed": 1},
        "over within seconds": {"recovered_s": -1.0},
        "counted": {"counted": False},
        "webhooks whole": {"whole": False},
    }
    assert set(broken) == set(good.held)
    for what, change in broken.items():
        held = replace(good, **change).held  # type: ignore[arg-type]
        assert [name for name, fine in held.items() if not fine] == [what]
