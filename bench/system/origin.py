"""Origin benchmark: open polls, delivered publishes, Here Now pages, and memory of an idle subscriber of the local origin.

The origin runs in its own process and is loaded from this one over loopback. On a machine with other load, compare the
figures per CPU second.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.harness.http_load import Connection, cpu_s, memory_kb

MESSAGE = b'{"type":"friend.online","payload":{"userId":"u123456"}}'
PUBLISHERS = 64
RESULT = Path("docs/benchmarks/origin.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number with its budget, None where there is none."""

    what: str
    value: float
    unit: str
    budget: float | None = None
    at_most: bool = True

    @property
    def within(self) -> bool:
        """Whether the budget is met."""
        if self.budget is None:
            return True
        return self.value <= self.budget if self.at_most else self.value >= self.budget


@dataclass(frozen=True, slots=True)
class Server:
    """The process under load."""

    port: int
    pid: int


@asynccontextmanager
async def serving(*options: str) -> AsyncIterator[Server]:
    """A private origin, ended afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_stack.origin", "--port", "0", *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    try:
        yield Server(int(line.rpartition(":")[2]), process.pid)
    finally:
        process.terminate()
        await process.wait()


def cursor(body: bytes) -> str:
    """The cursor of a subscribe reply."""
    return body.split(b'"t":"', 1)[1].split(b'"', 1)[0].decode()


def poll(channel: str, user: str, tt: str) -> str:
    """The path of a subscribe request as an SDK sends it."""
    return f"/v2/subscribe/demo/{channel}/0?tt={tt}&tr=41&uuid={user}&pnsdk=bench&heartbeat=300"


async def idle(number: int) -> list[Figure]:
    """`number` subscribers with one open poll each; then one message to each of them."""
    async with serving() as server:
        before = memory_kb(server.pid)
        connections: list[Connection] = []
        responses = []
        for at in range(number):
            connection = await Connection.to(server.port)
            first = await connection.get(poll(f"inbox.u{at}", f"u{at}", "0"))
            responses.append(connection.get(poll(f"inbox.u{at}", f"u{at}", cursor(first))))
            connections.append(connection)
        await asyncio.sleep(1.0)
        each_kb = (memory_kb(server.pid) - before) / number
        begun, used = time.perf_counter(), cpu_s(server.pid)
        await _publish_all(server, number)
        await asyncio.gather(*responses)
        took, cpu = time.perf_counter() - begun, cpu_s(server.pid) - used
        for connection in connections:
            connection.close()
    return [
        Figure("open polls", number, "polls"),
        Figure("memory of an idle subscriber", each_kb, "KB", 20),
        Figure("one message to each of them", took, "s"),
        Figure("publishes delivered a CPU second, all polls open", number / max(cpu, 0.01), "1/s"),
    ]


async def _publish_all(server: Server, number: int) -> None:
    async def publisher(mine: Iterable[int]) -> None:
        connection = await Connection.to(server.port)
        for at in mine:
            await _publish(connection, f"inbox.u{at}")
        connection.close()

    await asyncio.gather(*(publisher(range(first, number, PUBLISHERS)) for first in range(PUBLISHERS)))


async def delivered(seconds: float, subscribers: int = 256) -> list[Figure]:
    """Publishes as fast as possible, each delivered to one subscriber who polls again."""
    counts = {"published": 0, "received": 0}
    async with serving() as server:
        tasks = [asyncio.create_task(_subscriber(server, at, counts)) for at in range(subscribers)]
        await asyncio.sleep(0.5)
        tasks += [
            asyncio.create_task(_publisher(server, at, subscribers, counts)) for at in range(PUBLISHERS)
        ]
        await asyncio.sleep(0.5)
        begun, used, first = time.perf_counter(), cpu_s(server.pid), dict(counts)
        await asyncio.sleep(seconds)
        took, cpu = time.perf_counter() - begun, cpu_s(server.pid) - used
        received = counts["received"] - first["received"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [
        Figure("publishes delivered to one subscriber each", received / took, "1/s", 4000, at_most=False),
        Figure("the same a CPU second of the origin", received / cpu, "1/s"),
        Figure("the origin's share of a core", cpu / took, "cores"),
    ]


async def _subscriber(server: Server, at: int, counts: dict[str, int]) -> None:
    connection = await Connection.to(server.port)
    body = await connection.get(poll(f"inbox.u{at}", f"u{at}", "0"))
    while True:
        body = await connection.get(poll(f"inbox.u{at}", f"u{at}", cursor(body)))
        counts["received"] += body.count(b'"d":')


async def _publisher(server: Server, at: int, subscribers: int, counts: dict[str, int]) -> None:
    connection = await Connection.to(server.port)
    while True:
        await _publish(connection, f"inbox.u{at % subscribers}")
        counts["published"] += 1
        at += PUBLISHERS


def _publish(connection: Connection, channel: str) -> asyncio.Future[bytes]:
    """A POST, as the bridge publishes."""
    head = f"POST /publish/demo/demo/0/{channel}/0?uuid=bench&store=0 HTTP/1.1\r\nHost: localhost\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(MESSAGE)}\r\n\r\n"
    return connection.ask((head + kind).encode() + MESSAGE)


async def sunk(seconds: float) -> list[Figure]:
    """Publishes that are only acknowledged."""
    counts = {"published": 0}
    async with serving("--sink") as server:
        tasks = [asyncio.create_task(_publisher(server, at, 1000, counts)) for at in range(PUBLISHERS)]
        await asyncio.sleep(0.5)
        begun, used, first = time.perf_counter(), cpu_s(server.pid), counts["published"]
        await asyncio.sleep(seconds)
        took, cpu = time.perf_counter() - begun, cpu_s(server.pid) - used
        published = counts["published"] - first
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [
        Figure("publishes answered by the sink", published / took, "1/s"),
        Figure("the same a CPU second", published / cpu, "1/s"),
    ]


async def here_now(occupants: int = 5000, pages: int = 200) -> list[Figure]:
    """Pages of 1,000 of one large channel."""
    async with serving() as server:
        connection = await Connection.to(server.port)
        for at in range(occupants):
            user = f"{at:08d}-0000-4000-8000-000000000000"
            await connection.get(
                f"/v2/presence/sub-key/demo/channel/shard/heartbeat?uuid={user}&heartbeat=300"
            )
        taken = []
        for at in range(pages):
            begun = time.perf_counter()
            offset = at % 5 * 1000
            body = await connection.get(f"/v2/presence/sub-key/demo/channel/shard?limit=1000&offset={offset}")
            taken.append((time.perf_counter() - begun) * 1000)
            assert len(json.loads(body)["uuids"]) == 1000
        connection.close()
    taken.sort()
    return [
        Figure(f"Here Now page of 1000 of {occupants}, median", taken[len(taken) // 2], "ms"),
        Figure(f"Here Now page of 1000 of {occupants}, p99", taken[len(taken) * 99 // 100], "ms", 20),
    ]


async def measured(polls: int, seconds: float) -> list[Figure]:
    """All measurements, one after the other."""
    return [*await idle(polls), *await delivered(seconds), *await sunk(seconds), *await here_now()]


def table(figures: Iterable[Figure]) -> Table:
    shown = Table("figure", "value", "unit", "budget", title="local origin")
    for figure in figures:
        budget = "" if figure.budget is None else f"{'≤' if figure.at_most else '≥'} {figure.budget:g}"
        style = None if figure.within else "red"
        shown.add_row(figure.what, f"{figure.value:,.1f}", figure.unit, budget, style=style)
    return shown


def machine() -> dict[str, object]:
    """The machine, and its load from other processes."""
    cores, load = os.cpu_count(), os.getloadavg()[0]
    return {"python": platform.python_version(), "system": platform.platform(), "cores": cores, "load": load}


def main(
    polls: Annotated[int, typer.Option(help="Open polls.")] = 10_000,
    seconds: Annotated[float, typer.Option(help="Seconds that each load lasts.")] = 5.0,
    output: Annotated[Path, typer.Option("--json", help="File for the figures.")] = Path(
        "bench/results/origin.json"
    ),
) -> None:
    """Measure the local origin on this machine."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    figures = uvloop.run(measured(polls, seconds))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(
        json.dumps([asdict(figure) | {"within": figure.within} for figure in figures], indent=2) + "\n"
    )
    Console().print(table(figures))


if __name__ == "__main__":
    typer.run(main)
