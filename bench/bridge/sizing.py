"""Sizing benchmark: what one change, one delivery and one publish cost at steady rates, for `friends-presence simulate`.

Two populations give the unit costs (`bench.bridge.unit_costs`). A third one, of another size and degree and at other
rates, checks the predictions made from them (`bench.bridge.check_sizing`). Run it with ``make bench-sizing``; everything
runs on this machine, the stub for PubNub included.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.bridge.check_sizing import SOURCE, WIDTH, compared
from bench.bridge.check_sizing import table as shown
from bench.bridge.pipeline import bytes_a_user, steady
from bench.bridge.rig import DEBOUNCE_SECONDS, SHARDS, Rig, bridge, rig
from bench.bridge.unit_costs import unit_costs
from bench.harness import measure
from bench.harness.http_load import cpu_s, memory_kb
from graph_service.friends.presence_flags import Flags
from graph_service.graph.warmup import warm
from graph_service.model.model import Flag
from local_stack.data.generate import Population, generate
from pubnub_bridge.model.notification import presence_event
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.sizing.figures import UnitCosts
from pubnub_bridge.store import keys
from pubnub_bridge.store.change_history import MAX_CHANGES, ChangeHistory, ChangeRecord
from pubnub_bridge.store.inbox_streams import InboxStreams

console = Console(stderr=True)
WARM_UP_SECONDS = 60.0
WARM_UP_RATE = 300.0
"""Changes a second, for `WARM_UP_SECONDS` before anything is measured: Neo4j's JVM compiles the hot queries."""
SMALL_BATCHES = 3000
"""Batches of one user each, before anything is measured."""
IDLE_SECONDS = 5.0
"""Seconds without load: what a process costs when idle."""
WEIGHED_USERS = 200
"""Users whose entries are put into streams to measure their size."""


@dataclass(frozen=True, slots=True)
class Group:
    """A population and its loads."""

    name: str
    people: int
    low: int
    high: int
    seed: int
    windows: tuple[float, ...]
    rates: tuple[float, ...]
    role: str = "calibrate"
    """calibrate: unit costs are fitted to it. check: predictions are compared with it."""


GROUPS = (
    Group("few friends", 6000, 100, 200, 1, (0.0, 3.0), (20.0, 160.0)),
    Group("many friends", 8000, 500, 1000, 1, (1.0, 3.0), (20.0, 100.0)),
    Group("another population", 10_000, 300, 600, 2, (0.0, 1.0, 5.0), (30.0, 80.0), role="check"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One window and rate, measured. All figures are per second."""

    role: str
    group: str
    people: int
    online: int
    friends: float
    """Mean friends of a user."""
    window: float
    transitions: float
    deliveries: float
    publishes: float
    """Syncs included."""
    cpu: Mapping[str, float]
    """CPU milliseconds of each process."""


def main(
    seconds: Annotated[float, typer.Option(help="Seconds that each load is measured.")] = 10.0,
    scale: Annotated[
        float, typer.Option(help="Factor for the sizes of the populations, for a quick run.")
    ] = 1.0,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure steady loads and sizes in memory and on disk, and compare them with predictions."""
    before, began = measure.machine(), time.monotonic()
    steps, weights = asyncio.run(_run(GROUPS, seconds, scale))
    Console().print(_table(steps))
    document: dict[str, Any] = {
        "command": " ".join(["python -m bench.bridge.sizing", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "holdSeconds": DEBOUNCE_SECONDS,
        "groups": [asdict(group) for group in GROUPS],
        "seconds": round(time.monotonic() - began),
        "steady": [asdict(step) for step in steps],
        "weights": weights,
    }
    pairs = list(
        compared("sizing.json", document, UnitCosts.model_validate(unit_costs(document, str(SOURCE))))
    )
    Console(width=WIDTH).print(shown(pairs))
    document["results"] = [pair.row() for pair in pairs]
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


async def _run(
    groups: tuple[Group, ...], seconds: float, scale: float
) -> tuple[list[Step], list[dict[str, Any]]]:
    steps, weights = [], []
    for group in groups:
        population = generate(round(group.people * scale), group.low, group.high, group.seed)
        with tempfile.TemporaryDirectory(prefix="fp-sizing-") as name:
            async with rig(Path(name), population, group.seed) as made:
                await warm(made.graph)
                async with bridge(made, 1.0, Path(name) / "bridge.log"):
                    await steady(made, WARM_UP_RATE, WARM_UP_SECONDS)
                    await made.until_drained()
                await _compile_queries(made)
                weights.append(await _weigh(made, group, population, Path(name)))
                for window in group.windows:
                    async with bridge(made, window, Path(name) / "bridge.log") as pid:
                        weights[-1]["bridgeMiB"] = memory_kb(pid) / 1024
                        steps += await _loads(made, group, population, window, (pid, seconds))
    return steps, weights


async def _compile_queries(made: Rig) -> None:
    """Commit small batches until Neo4j has compiled the queries. No user's state changes."""
    flags = Flags(graph=made.graph)
    for user in itertools.islice(itertools.cycle(list(made.online)), SMALL_BATCHES):
        now = time.time_ns() // 1_000_000
        await flags.write_flags([Flag(user, True, now, SHARDS.shard(user))])
        await flags.read_snapshots([user])


async def _loads(
    made: Rig, group: Group, population: Population, window: float, run: tuple[int, float]
) -> list[Step]:
    """No load first, then each rate: two windows of warm-up, then the measurement."""
    pid, seconds = run
    pids = {"bridge": pid, **{server.engine.name: server.pid for server in made.engines.servers}}
    steps = []
    for rate in (0.0, *group.rates):
        if rate:
            await steady(made, rate, 2 * (DEBOUNCE_SECONDS + 1 + window))
        made.stub.begin()
        changed, used, began = (
            made.transitions,
            {name: cpu_s(one) for name, one in pids.items()},
            time.perf_counter(),
        )
        await steady(made, rate, seconds if rate else IDLE_SECONDS)
        took = time.perf_counter() - began
        spent = {name: 1000 * (cpu_s(pids[name]) - before) / took for name, before in used.items()}
        step = Step(
            role=group.role,
            group=group.name,
            people=len(population.ids),
            online=len(made.online),
            friends=2 * len(population.pairs) / len(population.ids),
            window=window,
            transitions=(made.transitions - changed) / took,
            deliveries=made.stub.notifications / took,
            publishes=made.stub.publishes / took,
            cpu=spent,
        )
        console.print(
            f"{group.name}, window {window:g} s: {step.transitions:,.0f} changes/s, {step.deliveries:,.0f} deliveries/s, {step.publishes:,.0f} publishes/s; "
            + ", ".join(f"{n} {ms:,.0f} ms" for n, ms in spent.items())
        )
        steps.append(step)
    await asyncio.sleep(DEBOUNCE_SECONDS)
    await made.until_drained()
    return steps


async def _weigh(made: Rig, group: Group, population: Population, folder: Path) -> dict[str, Any]:
    """Bytes of each kind of entry in Valkey, of a user in the debouncer, and of the store on disk."""
    store = folder / "data" / "neo4j" / "data" / "databases" / "neo4j"
    snapshots = await Flags(graph=made.graph).read_snapshots(list(made.online)[:WEIGHED_USERS])
    empty = await _used(made)
    now = time.time_ns() // 1_000_000
    changes = [
        PresenceEvent(user, False, now, SHARDS.shard(user), "timeout")
        for user in list(made.online)[:WEIGHED_USERS]
    ]
    for start in range(0, len(changes), 50):
        await made.log.append(changes[start : start + 50])
    log_bytes = await _used(made) - empty
    notifications = InboxStreams(valkey=made.valkey, partition=SHARDS.partition).notifications()
    for one in snapshots:
        notifications.add(presence_event(one), one.online_friends)
    await InboxStreams(valkey=made.valkey, partition=SHARDS.partition).append(notifications)
    inbox_bytes = await _used(made) - empty - log_bytes
    text = sum(map(len, notifications.bodies().values()))
    partitions = range(SHARDS.partitions)
    await made.valkey.forget(
        [key(number) for number in partitions for key in (keys.presence_log, keys.inbox)]
    )
    history_bytes = await _weigh_history(made, [one.user for one in snapshots])
    return {
        "role": group.role,
        "group": group.name,
        "people": len(population.ids),
        "friendships": len(population.pairs),
        "storeBytes": sum(file.stat().st_size for file in store.rglob("*") if file.is_file()),
        "holdBytesAUser": bytes_a_user().value,
        "valkeyEmptyBytes": empty,
        "changes": len(changes),
        "seenBytes": log_bytes,
        "notices": len(snapshots),
        "recipients": sum(len(one.online_friends) for one in snapshots),
        "inboxBytes": inbox_bytes,
        "inboxText": text,
        "whyUsers": len(snapshots),
        "whyBytes": history_bytes,
        "idBytes": len(population.ids[0]),
        "nameBytes": sum(map(len, population.names)) / len(population.names),
    }


async def _weigh_history(made: Rig, users: list[str]) -> int:
    """Bytes of a full change history (`MAX_CHANGES`) of each user.

    Written twice: the first time also grows the connection's buffers, which must not be counted.
    """
    history_bytes, taken = ChangeHistory(valkey=made.valkey, partition=SHARDS.partition), 0
    lists = [keys.change_history(SHARDS.partition(user), user) for user in users]
    for _ in range(2):
        before = await _used(made)
        for number in range(MAX_CHANGES):
            await history_bytes.add([_record(user, online=bool(number % 2)) for user in users])
        taken = await _used(made) - before
        await made.valkey.forget(lists)
    return taken


def _record(user: str, online: bool) -> ChangeRecord:
    at = time.time_ns() // 1_000_000
    return ChangeRecord(
        user=user,
        event_id=f"evt_presence_{user}_{at}",
        online=online,
        at=at,
        reason="timeout",
        held_until=at,
        settled_at=at,
        outcome="told",
        recipients=225,
    )


async def _used(made: Rig) -> int:
    return int((await made.valkey.facts())["used_memory"])


def _table(steps: list[Step]) -> Table:
    table = Table(
        "group",
        "window",
        "changes/s",
        "deliveries/s",
        "publishes/s",
        *(f"{name} ms/s" for name in steps[0].cpu),
    )
    for one in steps:
        rates = (one.transitions, one.deliveries, one.publishes, *one.cpu.values())
        table.add_row(one.group, f"{one.window:g} s", *(f"{rate:,.0f}" for rate in rates))
    return table


if __name__ == "__main__":
    typer.run(main)
