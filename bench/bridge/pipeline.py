"""Bridge benchmark: users committed a second, deliveries published a second, lateness under load, memory of a user.

Everything runs on this machine, the stub for PubNub included. Run it with ``make bench-bridge``; ``--json FILE`` stores
the figures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.bridge.rig import DEBOUNCE_SECONDS, SHARDS, TICK_SECONDS, Rig, bridge, rig
from bench.charts import bars
from bench.harness import measure
from bench.harness.http_load import cpu_s, memory_kb
from graph_service.friends.presence_flags import Flags
from graph_service.graph.warmup import warm
from graph_service.model.model import Flag, PresenceSnapshot
from local_stack.data.generate import generate
from pubnub_bridge.debounce.debouncer import Debouncer, DebounceTimes
from pubnub_bridge.model.notification import presence_event
from pubnub_bridge.store.inbox_streams import InboxStreams

console = Console(stderr=True)
BATCH_USERS = 500
BURST_SHARE = 0.15
"""The share of users who change at once. A share and not a number, so that an inbox receives as many notifications
whatever the population."""
LOAD_SHARES = (0.25, 0.5, 0.8)
RAMP_UP_SECONDS = 10.0
"""Seconds of a load before it is measured: the batch window left by the previous load halves every second."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and its budget."""

    what: str
    value: float
    unit: str
    budget: str = ""


def main(
    people: Annotated[int, typer.Option(help="How many users.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Of the population.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long each load lasts.")] = 15.0,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure the bridge on a made-up population."""
    low, high = (int(word) for word in friends.split("-"))
    before, began = measure.machine(), time.monotonic()
    figures = asyncio.run(_run(people, (low, high), seed, seconds))
    _print(figures)
    if out:
        document = {
            "command": " ".join(["python -m bench.bridge.pipeline", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"people": people, "friends": friends, "seed": seed, "online": 0.3},
            "seconds": round(time.monotonic() - began),
            "results": [asdict(figure) for figure in figures],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        lateness = [(f.what, {"ms": f.value}) for f in figures if f.what.startswith("change to inbox")]
        title = f"From the debounce deadline to the acknowledged publish, {people:,} users"
        out.with_suffix(".svg").write_text(bars.bars(title, "ms", lateness), encoding="utf-8")


async def _run(people: int, friends: tuple[int, int], seed: int, seconds: float) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(people, *friends, seed)
        console.print(f"{len(population.pairs):,} friendships made up; loading")
        async with rig(Path(name), population, seed) as made:
            await warm(made.graph)
            log = Path(name) / "bridge.log"
            figures = [bytes_a_user()] + await measure_commits(made)
            for window_s in (0.0, 1.0):
                async with bridge(made, window_s, log) as pid:
                    figures += await measure_fan_out(made, window_s)
                    burst = await measure_burst(made, window_s, pid)
                    figures += burst + await measure_lateness(made, window_s, burst[0].value, seconds)
        return figures


def bytes_a_user(users: int = 100_000) -> Figure:
    """Bytes that the debouncer of one partition stores for each user online, ids included."""
    rows = {f"u{number:07d}": 1_700_000_000_000 + number for number in range(users)}
    tracemalloc.start()
    debouncer = Debouncer(times=DebounceTimes())
    debouncer.load({str(user.encode(), "ascii"): at + 1 for user, at in rows.items()})
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del debouncer
    return Figure("memory of a user online", used / users, "bytes", "<= 400")


async def measure_commits(rig: Rig, batches: int = 20, warm_up: int = 30) -> list[Figure]:
    """Commit and read, batch by batch, after `warm_up` batches in which Neo4j's JVM compiles the queries."""
    flags, took = Flags(graph=rig.graph), 0.0
    for number in range(warm_up + batches):
        changes = rig.changes(BATCH_USERS)
        began = time.perf_counter()
        await flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in changes])
        await flags.read_snapshots([c.user for c in changes])
        took += time.perf_counter() - began if number >= warm_up else 0.0
    return [
        _reported(
            Figure("users committed and read a second", BATCH_USERS * batches / took, "1/s", ">= 2,000")
        )
    ]


async def measure_fan_out(rig: Rig, window_s: float, batches: int = 20) -> list[Figure]:
    """From notifications in the inbox streams to their acknowledged publishes."""
    snapshots = [one for one in await _snapshots(rig) if one.online_friends]
    inbox = InboxStreams(valkey=rig.valkey, partition=SHARDS.partition)
    rig.stub.begin()
    began, recipients = time.perf_counter(), 0
    for number in range(batches):
        notifications = inbox.notifications()
        for one in snapshots[number * 50 : number * 50 + 50]:
            notifications.add(presence_event(one), one.online_friends)
            recipients += len(one.online_friends)
        await inbox.append(notifications)
    await rig.until_drained()
    took = time.perf_counter() - began
    name = f"window {window_s:g} s"
    budget = ">= 80,000" if window_s == 0 else ""
    return [
        _reported(
            Figure(f"notification to acknowledged publish, {name}", recipients / took, "recipients/s", budget)
        ),
        _reported(Figure(f"publishes, {name}", rig.stub.publishes / took, "1/s")),
    ]


async def _snapshots(rig: Rig) -> list[PresenceSnapshot]:
    found: list[PresenceSnapshot] = []
    for start in (0, BATCH_USERS):
        found += await Flags(graph=rig.graph).read_snapshots(
            list(itertools.islice(rig.online, start, start + BATCH_USERS))
        )
    return found


async def measure_burst(rig: Rig, window_s: float, pid: int) -> list[Figure]:
    """A burst of changes, until the last publish is acknowledged."""
    pids = {"bridge": pid, **{server.engine.name: server.pid for server in rig.engines.servers}}
    changes = int(BURST_SHARE * (len(rig.online) + len(rig.offline)))
    rig.stub.begin()
    used = {name: cpu_s(one) for name, one in pids.items() if one}
    began = time.perf_counter()
    for _ in range(changes // 50):
        await rig.log.append(rig.changes(50))
    await asyncio.sleep(DEBOUNCE_SECONDS)
    await rig.until_drained()
    took = time.perf_counter() - began - DEBOUNCE_SECONDS
    name, notifications = f"window {window_s:g} s", max(1, rig.stub.notifications)
    spent = {one: 1e6 * (cpu_s(pids[one] or 0) - before) / notifications for one, before in used.items()}
    return [
        _reported(
            Figure(f"changes a second, everything on this machine, {name}", changes / took, "1/s", ">= 800")
        ),
        _reported(Figure(f"deliveries a second, {name}", notifications / took, "1/s")),
        _reported(Figure(f"publishes saved, {name}", 100 * (1 - rig.stub.publishes / notifications), "%")),
        _reported(Figure(f"CPU of all servers, {name}", sum(spent.values()), "ms/1,000 deliveries", "<= 8")),
        *(Figure(f"CPU of {one}, {name}", value, "ms/1,000 deliveries") for one, value in spent.items()),
        Figure(f"memory of the bridge's process, {name}", memory_kb(pid) / 1024, "MiB"),
    ]


async def measure_lateness(rig: Rig, window_s: float, capacity: float, seconds: float) -> list[Figure]:
    """Changes at a steady rate, however long earlier ones take. Lateness is beyond the debounce time and a fixed window.

    An adaptive window widens with the load and is part of the lateness.
    """
    figures = []
    rig.stub.window_ms = round(window_s * 1000)
    for share in LOAD_SHARES:
        rate = capacity * share
        await steady(rig, rate, RAMP_UP_SECONDS)
        rig.stub.begin()
        await steady(rig, rate, seconds)
        figures += _lateness(rig, window_s, f"at {share:.0%} load ({rate:,.0f} changes/s)", share)
        await asyncio.sleep(DEBOUNCE_SECONDS)
        await rig.until_drained()
    return figures


def _lateness(rig: Rig, window_s: float, load: str, share: float) -> list[Figure]:
    histogram = rig.stub.beyond if window_s else rig.stub.late
    name = f"window {window_s:g} s aside" if window_s else "the adaptive window in it"
    found = []
    for percent in (50, 99):
        budget = "<= 500" if percent == 99 and share <= 0.5 and window_s else ""
        what = f"change to inbox, {name}, {load}, p{percent}"
        found.append(_reported(Figure(what, histogram.get_value_at_percentile(percent), "ms", budget)))
    return found


async def steady(rig: Rig, rate: float, seconds: float) -> None:
    """Changes at a rate, however long earlier ones take."""
    began, made = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(rate * passed) - made
        if due:
            await rig.log.append(rig.changes(due))
            made += due
        await asyncio.sleep(TICK_SECONDS)


def _reported(figure: Figure) -> Figure:
    console.print(f"{figure.what}: {figure.value:,.1f} {figure.unit}")
    return figure


def _print(figures: Sequence[Figure]) -> None:
    table = Table("what", "figure", "unit", "budget")
    for one in figures:
        table.add_row(one.what, f"{one.value:,.1f}", one.unit, one.budget)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
