"""What the bridge takes: users settled a second, news published a second, lateness under load, memory of a user.

Knows what is measured and how it is shown. Everything runs on this machine, the stub for PubNub included. Run it with
``make bench-bridge``; ``--json FILE`` keeps the figures.
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

from bench.bridge.rig import HOLD_S, SHARDS, TICK_S, Rig, bridge, rig
from bench.charts import bars
from bench.harness import measure
from bench.harness.http_load import cpu_s, memory_kb
from graph_service.friends.presence_flags import Flags
from graph_service.graph.warmup import warm
from graph_service.model.model import Flag, PresenceSnapshot
from local_stack.data.generate import generate
from pubnub_bridge.debounce.debouncer import Debouncer
from pubnub_bridge.model.notification import presence_event
from pubnub_bridge.store.inbox_streams import InboxStreams

console = Console(stderr=True)
BATCH = 500
BURST = 0.15
"""The share of people who change at once, until all is told: what the whole walk takes. A share, so that as many news
meet in one inbox whatever the population."""
LOADS = (0.25, 0.5, 0.8)
SETTLING_IN = 10.0
"""Seconds of a load before it is measured: what the load before it left of the window halves every second."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, and the budget it is held against."""

    what: str
    value: float
    unit: str
    budget: str = ""


def main(
    people: Annotated[int, typer.Option(help="How many people.")] = 20_000,
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
        kept = {
            "command": " ".join(["python -m bench.bridge.pipeline", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "population": {"people": people, "friends": friends, "seed": seed, "online": 0.3},
            "seconds": round(time.monotonic() - began),
            "results": [asdict(figure) for figure in figures],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        lateness = [(f.what, {"ms": f.value}) for f in figures if f.what.startswith("change to inbox")]
        title = f"From the end of the hold to the acked publish, {people:,} people"
        out.with_suffix(".svg").write_text(bars.bars(title, "ms", lateness), encoding="utf-8")


async def _run(people: int, friends: tuple[int, int], seed: int, seconds: float) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(people, *friends, seed)
        console.print(f"{len(population.pairs):,} friendships made up; loading")
        async with rig(Path(name), population, seed) as made:
            await warm(made.graph)
            log = Path(name) / "bridge.log"
            figures = [bytes_a_user()] + await settling(made)
            for window_s in (0.0, 1.0):
                async with bridge(made, window_s, log) as pid:
                    figures += await fan_out(made, window_s)
                    walked = await whole_walk(made, window_s, pid)
                    figures += walked + await under_load(made, window_s, walked[0].value, seconds)
        return figures


def bytes_a_user(users: int = 100_000) -> Figure:
    """What the hold of one partition keeps for each user online, ids included."""
    rows = {f"u{number:07d}": 1_700_000_000_000 + number for number in range(users)}
    tracemalloc.start()
    hold = Debouncer()
    hold.load({str(user.encode(), "ascii"): at + 1 for user, at in rows.items()})
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del hold
    return Figure("memory of a user online", used / users, "bytes", "<= 400")


async def settling(rig: Rig, batches: int = 20, warm_up: int = 30) -> list[Figure]:
    """Commit, then read, batch by batch, once Neo4j's Java has compiled what that runs through."""
    flags, took = Flags(rig.graph), 0.0
    for number in range(warm_up + batches):
        changes = rig.changes(BATCH)
        began = time.perf_counter()
        await flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in changes])
        await flags.read_snapshots([c.user for c in changes])
        took += time.perf_counter() - began if number >= warm_up else 0.0
    return [_said(Figure("users settled a second, then read", BATCH * batches / took, "1/s", ">= 2,000"))]


async def fan_out(rig: Rig, window_s: float, batches: int = 20) -> list[Figure]:
    """Notices that stand in the inbox streams, to their acked publishes."""
    told = [one for one in await _told(rig) if one.online_friends]
    inbox = InboxStreams(valkey=rig.valkey, partition=SHARDS.partition)
    rig.stub.begin()
    began, recipients = time.perf_counter(), 0
    for number in range(batches):
        notifications = inbox.notifications()
        for one in told[number * 50 : number * 50 + 50]:
            notifications.add(presence_event(one), one.online_friends)
            recipients += len(one.online_friends)
        await inbox.append(notifications)
    await rig.until_done()
    took = time.perf_counter() - began
    name = f"window {window_s:g} s"
    budget = ">= 80,000" if window_s == 0 else ""
    return [
        _said(Figure(f"news to acked publish, {name}", recipients / took, "recipients/s", budget)),
        _said(Figure(f"publishes, {name}", rig.stub.publishes / took, "1/s")),
    ]


async def _told(rig: Rig) -> list[PresenceSnapshot]:
    found: list[PresenceSnapshot] = []
    for start in (0, BATCH):
        found += await Flags(rig.graph).read_snapshots(
            list(itertools.islice(rig.there, start, start + BATCH))
        )
    return found


async def whole_walk(rig: Rig, window_s: float, pid: int) -> list[Figure]:
    """A burst of changes, until the last of their news is acked."""
    pids = {"bridge": pid, **{server.engine.name: server.pid for server in rig.engines.servers}}
    changes = int(BURST * (len(rig.there) + len(rig.away)))
    rig.stub.begin()
    used = {name: cpu_s(one) for name, one in pids.items() if one}
    began = time.perf_counter()
    for _ in range(changes // 50):
        await rig.log.append(rig.changes(50))
    await asyncio.sleep(HOLD_S)
    await rig.until_done()
    took = time.perf_counter() - began - HOLD_S
    name, news = f"window {window_s:g} s", max(1, rig.stub.news)
    spent = {one: 1e6 * (cpu_s(pids[one] or 0) - before) / news for one, before in used.items()}
    return [
        _said(
            Figure(f"changes a second, everything on this machine, {name}", changes / took, "1/s", ">= 800")
        ),
        _said(Figure(f"deliveries a second, {name}", news / took, "1/s")),
        _said(Figure(f"publishes saved, {name}", 100 * (1 - rig.stub.publishes / news), "%")),
        _said(Figure(f"CPU of all servers, {name}", sum(spent.values()), "ms/1,000 deliveries", "<= 8")),
        *(Figure(f"CPU of {one}, {name}", value, "ms/1,000 deliveries") for one, value in spent.items()),
        Figure(f"memory of the bridge's process, {name}", memory_kb(pid) / 1024, "MiB"),
    ]


async def under_load(rig: Rig, window_s: float, capacity: float, seconds: float) -> list[Figure]:
    """Changes at a steady rate, however long the last ones take; lateness beyond the hold, and beyond a fixed window.

    Without one the window opens with the load, and is part of the lateness.
    """
    figures = []
    rig.stub.window_ms = round(window_s * 1000)
    for share in LOADS:
        rate = capacity * share
        await steady(rig, rate, SETTLING_IN)
        rig.stub.begin()
        await steady(rig, rate, seconds)
        figures += _lateness(rig, window_s, f"at {share:.0%} load ({rate:,.0f} changes/s)", share)
        await asyncio.sleep(HOLD_S)
        await rig.until_done()
    return figures


def _lateness(rig: Rig, window_s: float, load: str, share: float) -> list[Figure]:
    kept = rig.stub.beyond if window_s else rig.stub.late
    name = f"window {window_s:g} s aside" if window_s else "the adaptive window in it"
    found = []
    for percent in (50, 99):
        budget = "<= 500" if percent == 99 and share <= 0.5 and window_s else ""
        what = f"change to inbox, {name}, {load}, p{percent}"
        found.append(_said(Figure(what, kept.get_value_at_percentile(percent), "ms", budget)))
    return found


async def steady(rig: Rig, rate: float, seconds: float) -> None:
    """Changes at a rate, however long the last ones take."""
    began, made = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(rate * passed) - made
        if due:
            await rig.log.append(rig.changes(due))
            made += due
        await asyncio.sleep(TICK_S)


def _said(figure: Figure) -> Figure:
    console.print(f"{figure.what}: {figure.value:,.1f} {figure.unit}")
    return figure


def _print(figures: Sequence[Figure]) -> None:
    table = Table("what", "figure", "unit", "budget")
    for one in figures:
        table.add_row(one.what, f"{one.value:,.1f}", one.unit, one.budget)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
