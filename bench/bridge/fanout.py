"""Fan-out: notices in the streams to acked publishes, by how fast people come and go and how long news waits.

Knows the load and how figures are shown; the rows of the walk that are measured are `bench.bridge.fanout_stages`, a process of
its own beside a real Valkey and a stub for PubNub. No graph: who has which friends is made up here. Run it with
``make bench-fanout``; ``--json FILE`` keeps the figures, with a chart beside.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.bridge.fanout_stages import SHARDS, URL
from bench.charts import bars
from bench.harness import measure
from bench.harness.http_load import cpu_s, memory_kb
from bench.harness.stub import Stub
from graph_service.valkey.client import Valkey
from graph_service.valkey.cluster import open_valkey
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.server import Server
from local_stack.engines.valkey_server import ValkeyEngine
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import Event
from pubnub_bridge.store import keys
from pubnub_bridge.store.inbox_streams import InboxStreams

console = Console(stderr=True)
WINDOWS = "0,0.5,1,2,5"
CHURN = (25, 100, 400)
"""Changes a second."""
TICK_S = 0.05
BURST = 2000
"""Changes at once, for the most that is taken."""
WAITING = 20_000
"""Recipients whose memory is looked at, each with `COMPANY` events."""
COMPANY = (1, 10)


@dataclass(frozen=True, slots=True)
class Figures:
    """One load with one window."""

    window_s: float
    churn: float
    """Changes a second that were made; 0 for as fast as is taken."""
    recipients: float
    """Events told to somebody, a second."""
    publishes: float
    """A second."""
    saved: float
    """Percent of events that needed no publish of their own."""
    cpu_ms: float
    """Of the process that publishes, for 1,000 events told."""
    p50: float
    """Milliseconds from the change to its arrival, window in it."""
    p99: float
    busy: float
    """Share of a core that the process used."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the process keeps for those who wait."""

    recipients: int
    events_each: int
    bytes_a_recipient: float


@dataclass(slots=True)
class People:
    """Who is online and who hears of whom."""

    number: int
    friends: int
    seed: int
    turn: int = 0
    told: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids, draw = self.ids(), random.Random(self.seed)
        self.told = [draw.sample(ids, min(self.friends, len(ids))) for _ in range(400)]

    def ids(self) -> list[str]:
        """Everybody who is online."""
        return [f"u{at:07d}" for at in range(self.number)]

    def change(self) -> tuple[Event, list[str]]:
        """The next one who comes, now, and who is to be told."""
        self.turn += 1
        user, at = f"u{self.turn % self.number:07d}", time.time_ns() // 1_000_000
        return event(user, at), self.told[self.turn % len(self.told)]


def event(user: str, at: int) -> Event:
    """A friend who came online."""
    return Event(user, "online", at, at * 1000, encoding.online(user, "Ann Example", at, at * 1000))


@dataclass(slots=True)
class Scene:
    """What every load runs on."""

    valkey: Valkey
    url: str
    stub: Stub
    port: int
    people: People

    async def tell(self, changes: int) -> int:
        """Notices of so many changes; returns how many recipients they have."""
        inbox = InboxStreams(valkey=self.valkey, partition=SHARDS.partition)
        notifications = inbox.notifications()
        for _ in range(changes):
            notifications.add(*self.people.change())
        await inbox.append(notifications)
        return changes * len(self.people.told[0])

    async def until_done(self) -> None:
        """Until every notice is published."""
        names = [keys.inbox(number) for number in range(SHARDS.partitions)]
        async with asyncio.timeout(120):
            while sum(await self.valkey.lengths(names)):  # noqa: ASYNC110 - streams set no event
                await asyncio.sleep(0.01)


def main(
    online: Annotated[int, typer.Option(help="How many people are online.")] = 6000,
    friends: Annotated[int, typer.Option(help="Online friends of each.")] = 225,
    seconds: Annotated[float, typer.Option(help="How long each load lasts.")] = 2.0,
    windows: Annotated[str, typer.Option(help="Seconds that news wait for company.")] = WINDOWS,
    seed: Annotated[int, typer.Option(help="Of who has which friends.")] = 1,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure the fan-out."""
    before, began = measure.machine(), time.monotonic()
    people = People(online, friends, seed)
    figures, memory = uvloop.run(_run(people, seconds, [float(one) for one in windows.split(",")]))
    _print(figures, memory)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        kept = {
            "command": " ".join(["python -m bench.bridge.fanout", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"online": online, "onlineFriends": friends, "seed": seed},
            "loadSeconds": seconds,
            "seconds": round(time.monotonic() - began),
            "results": [asdict(one) for one in figures],
            "memory": [asdict(one) for one in memory],
        }
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        title = f"Publishes a second, {online:,} online with {friends} online friends each"
        out.with_suffix(".svg").write_text(bars.bars(title, "/s", _publishes(figures)), encoding="utf-8")


async def _run(
    people: People, seconds: float, windows: Sequence[float]
) -> tuple[list[Figures], list[Memory]]:
    figures: list[Figures] = []
    async with _scene(people) as scene:
        for window_s in windows:
            async with _rows(scene, window_s) as pid:
                figures += [_said(await _steady(scene, pid, window_s, churn, seconds)) for churn in CHURN]
                if window_s in {0.0, 1.0}:
                    figures.append(_said(await _burst(scene, pid, window_s)))
        memory = [await _memory(scene, each) for each in COMPANY]
    return figures, memory


@asynccontextmanager
async def _scene(people: People) -> AsyncIterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        engine = ValkeyEngine(DataFolder.at(Path(name)))
        server, stub = Server(engine), Stub()
        listening, port = await stub.serve()
        await server.start()
        try:
            async with listening, open_valkey(engine.url(server.port)) as valkey:
                yield Scene(valkey, engine.url(server.port), stub, port, people)
        finally:
            await server.stop()


@asynccontextmanager
async def _rows(scene: Scene, window_s: float) -> AsyncIterator[int]:
    """The process under load; yields its process id."""
    command = [
        sys.executable,
        "-m",
        "bench.bridge.fanout_stages",
        "--port",
        str(scene.port),
        "--window",
        str(window_s),
    ]
    pipe = asyncio.subprocess.PIPE
    environment = os.environ | {URL: scene.url}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _steady(scene: Scene, pid: int, window_s: float, churn: float, seconds: float) -> Figures:
    """Changes at a rate, until the last of their news is acked."""
    scene.stub.begin()
    began, used, made, told = time.perf_counter(), cpu_s(pid), 0, 0
    while (passed := time.perf_counter() - began) < seconds + window_s:
        if due := int(churn * passed) - made:
            told += await scene.tell(due)
            made += due
        await asyncio.sleep(TICK_S)
    rate = made / passed
    await scene.until_done()
    return _figures(scene, (window_s, rate, told), cpu_s(pid) - used, time.perf_counter() - began)


async def _burst(scene: Scene, pid: int, window_s: float) -> Figures:
    """As many changes as are taken."""
    scene.stub.begin()
    began, used, told = time.perf_counter(), cpu_s(pid), 0
    for _ in range(BURST // 50):
        told += await scene.tell(50)
    await scene.until_done()
    return _figures(scene, (window_s, 0.0, told), cpu_s(pid) - used, time.perf_counter() - began)


def _figures(scene: Scene, load: tuple[float, float, int], cpu: float, took: float) -> Figures:
    window_s, churn, told = load
    stub = scene.stub
    return Figures(
        window_s=window_s,
        churn=round(churn, 1),
        recipients=told / took,
        publishes=stub.publishes / took,
        saved=100 * (1 - stub.publishes / told),
        cpu_ms=1e6 * cpu / told,
        p50=stub.late.get_value_at_percentile(50),
        p99=stub.late.get_value_at_percentile(99),
        busy=cpu / took,
    )


async def _memory(scene: Scene, each: int) -> Memory:
    """Resident memory that grows while so many recipients wait, each for the same number of events."""
    async with _rows(scene, 60.0) as pid:
        inbox, before = InboxStreams(valkey=scene.valkey, partition=SHARDS.partition), memory_kb(pid)
        recipients = [f"w{at:07d}" for at in range(WAITING)]
        for number in range(each):
            notifications = inbox.notifications()
            notifications.add(event(f"u{number:07d}", time.time_ns() // 1_000_000), recipients)
            await inbox.append(notifications)
        await _until_still(pid)
        grown = memory_kb(pid) - before
    names = [keys.inbox(number) for number in range(SHARDS.partitions)]
    await scene.valkey.forget(names)
    return Memory(WAITING, each, 1024 * grown / WAITING)


async def _until_still(pid: int) -> None:
    """Until the process has done what it was given: its CPU time stands still."""
    async with asyncio.timeout(60):
        used = -1.0
        while used != cpu_s(pid):
            used = cpu_s(pid)
            await asyncio.sleep(0.6)


def _said(one: Figures) -> Figures:
    console.print(
        f"window {one.window_s:g} s, {one.churn:,.0f} changes/s: {one.recipients:,.0f} recipients/s, "
        f"{one.publishes:,.0f} publishes/s, {one.saved:.0f} % saved, {one.busy:.0%} of a core"
    )
    return one


def _publishes(figures: Sequence[Figures]) -> list[tuple[str, dict[str, float]]]:
    groups: dict[str, dict[str, float]] = {}
    for one in figures:
        if one.churn:
            groups.setdefault(f"window {one.window_s:g} s", {})[f"{one.churn:.0f} changes/s"] = one.publishes
    return list(groups.items())


def _print(figures: Sequence[Figures], memory: Sequence[Memory]) -> None:
    columns = (
        "window s",
        "changes/s",
        "recipients/s",
        "publishes/s",
        "saved",
        "CPU ms/1,000",
        "p50 ms",
        "p99 ms",
    )
    table = Table(*columns)
    for one in figures:
        table.add_row(*_cells(one))
    shown = Console()
    shown.print(table)
    for kept in memory:
        shown.print(
            f"{kept.bytes_a_recipient:,.0f} bytes for a recipient that waits with {kept.events_each} events"
        )


def _cells(one: Figures) -> tuple[Any, ...]:
    return (
        f"{one.window_s:g}",
        f"{one.churn:,.0f}" if one.churn else "all it takes",
        f"{one.recipients:,.0f}",
        f"{one.publishes:,.0f}",
        f"{one.saved:.1f} %",
        f"{one.cpu_ms:.2f}",
        f"{one.p50:,.0f}",
        f"{one.p99:,.0f}",
    )


if __name__ == "__main__":
    typer.run(main)
