"""What one change, one delivery and one publish cost, at steady rates: the numbers `friends-presence simulate` reckons with.

Knows what is measured. Two populations are measured for the unit costs (`bench.bridge.unit_costs`), a third one, of another
size and degree and at other rates, to hold what is predicted from them against (`bench.bridge.check_sizing`). Run it with
``make bench-sizing``; everything runs on this machine, the stub for PubNub included.
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
from bench.bridge.rig import HOLD_S, SHARDS, Rig, bridge, rig
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
WARM_S = 60.0
WARM_RATE = 300.0
"""Changes a second, for so many seconds before anything is measured: until Neo4j's compiler is done with the hot queries."""
SMALL_BATCHES = 3000
"""Of one user each, before anything is measured."""
IDLE = 5.0
"""Seconds in which nothing happens: what a process takes for being there."""
TOLD = 200
"""Users whose news are put into streams to weigh them."""


@dataclass(frozen=True, slots=True)
class Group:
    """A population and the loads it is put under."""

    name: str
    people: int
    low: int
    high: int
    seed: int
    windows: tuple[float, ...]
    rates: tuple[float, ...]
    role: str = "calibrate"
    """calibrate: unit costs follow from it. check: they are held against it."""


GROUPS = (
    Group("few friends", 6000, 100, 200, 1, (0.0, 3.0), (20.0, 160.0)),
    Group("many friends", 8000, 500, 1000, 1, (1.0, 3.0), (20.0, 100.0)),
    Group("another population", 10_000, 300, 600, 2, (0.0, 1.0, 5.0), (30.0, 80.0), role="check"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One window and rate, measured; everything a second."""

    role: str
    group: str
    people: int
    online: int
    friends: float
    """Of a user, on average."""
    window: float
    transitions: float
    deliveries: float
    publishes: float
    """Syncs among them."""
    cpu: Mapping[str, float]
    """CPU milliseconds of each process."""


def main(
    seconds: Annotated[float, typer.Option(help="How long each load is measured.")] = 10.0,
    scale: Annotated[float, typer.Option(help="Of populations, for a quick look.")] = 1.0,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure steady loads, weigh what stands in memory and on disk, and predict the one from the other."""
    before, began = measure.machine(), time.monotonic()
    steps, weights = asyncio.run(_run(GROUPS, seconds, scale))
    Console().print(_table(steps))
    kept: dict[str, Any] = {
        "command": " ".join(["python -m bench.bridge.sizing", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "holdSeconds": HOLD_S,
        "groups": [asdict(group) for group in GROUPS],
        "seconds": round(time.monotonic() - began),
        "steady": [asdict(step) for step in steps],
        "weights": weights,
    }
    pairs = list(compared("sizing.json", kept, UnitCosts.model_validate(unit_costs(kept, str(SOURCE)))))
    Console(width=WIDTH).print(shown(pairs))
    kept["results"] = [pair.row() for pair in pairs]
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


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
                    await steady(made, WARM_RATE, WARM_S)
                    await made.until_done()
                await _compiled(made)
                weights.append(await _weighed(made, group, population, Path(name)))
                for window in group.windows:
                    async with bridge(made, window, Path(name) / "bridge.log") as pid:
                        weights[-1]["bridgeMiB"] = memory_kb(pid) / 1024
                        steps += await _loads(made, group, population, window, (pid, seconds))
    return steps, weights


async def _compiled(made: Rig) -> None:
    """Small batches until Neo4j has compiled what each question costs by itself; nobody's state changes."""
    flags = Flags(made.graph)
    for user in itertools.islice(itertools.cycle(list(made.there)), SMALL_BATCHES):
        now = time.time_ns() // 1_000_000
        await flags.write_flags([Flag(user, True, now, SHARDS.shard(user))])
        await flags.read_snapshots([user])


async def _loads(
    made: Rig, group: Group, population: Population, window: float, run: tuple[int, float]
) -> list[Step]:
    """Nothing first, then each rate: warmed up for two windows, then measured."""
    pid, seconds = run
    pids = {"bridge": pid, **{server.engine.name: server.pid for server in made.engines.servers}}
    steps = []
    for rate in (0.0, *group.rates):
        if rate:
            await steady(made, rate, 2 * (HOLD_S + 1 + window))
        made.stub.begin()
        changed, used, began = (
            made.turned,
            {name: cpu_s(one) for name, one in pids.items()},
            time.perf_counter(),
        )
        await steady(made, rate, seconds if rate else IDLE)
        took = time.perf_counter() - began
        spent = {name: 1000 * (cpu_s(pids[name]) - before) / took for name, before in used.items()}
        step = Step(
            role=group.role,
            group=group.name,
            people=len(population.ids),
            online=len(made.there),
            friends=2 * len(population.pairs) / len(population.ids),
            window=window,
            transitions=(made.turned - changed) / took,
            deliveries=made.stub.news / took,
            publishes=made.stub.publishes / took,
            cpu=spent,
        )
        console.print(
            f"{group.name}, window {window:g} s: {step.transitions:,.0f} changes/s, {step.deliveries:,.0f} deliveries/s, {step.publishes:,.0f} publishes/s; "
            + ", ".join(f"{n} {ms:,.0f} ms" for n, ms in spent.items())
        )
        steps.append(step)
    await asyncio.sleep(HOLD_S)
    await made.until_done()
    return steps


async def _weighed(made: Rig, group: Group, population: Population, folder: Path) -> dict[str, Any]:
    """Bytes that one thing takes in Valkey, in the hold and on disk."""
    store = folder / "data" / "neo4j" / "data" / "databases" / "neo4j"
    told = await Flags(made.graph).read_snapshots(list(made.there)[:TOLD])
    empty = await _used(made)
    now = time.time_ns() // 1_000_000
    changes = [
        PresenceEvent(user, False, now, SHARDS.shard(user), "timeout") for user in list(made.there)[:TOLD]
    ]
    for start in range(0, len(changes), 50):
        await made.log.append(changes[start : start + 50])
    seen = await _used(made) - empty
    notifications = InboxStreams(valkey=made.valkey, partition=SHARDS.partition).notifications()
    for one in told:
        notifications.add(presence_event(one), one.online_friends)
    await InboxStreams(valkey=made.valkey, partition=SHARDS.partition).append(notifications)
    inbox = await _used(made) - empty - seen
    text = sum(map(len, notifications.bodies().values()))
    partitions = range(SHARDS.partitions)
    await made.valkey.forget(
        [key(number) for number in partitions for key in (keys.presence_log, keys.inbox)]
    )
    why = await _explained(made, [one.user for one in told])
    return {
        "role": group.role,
        "group": group.name,
        "people": len(population.ids),
        "friendships": len(population.pairs),
        "storeBytes": sum(file.stat().st_size for file in store.rglob("*") if file.is_file()),
        "holdBytesAUser": bytes_a_user().value,
        "valkeyEmptyBytes": empty,
        "changes": len(changes),
        "seenBytes": seen,
        "notices": len(told),
        "recipients": sum(len(one.online_friends) for one in told),
        "inboxBytes": inbox,
        "inboxText": text,
        "whyUsers": len(told),
        "whyBytes": why,
        "idBytes": len(population.ids[0]),
        "nameBytes": sum(map(len, population.names)) / len(population.names),
    }


async def _explained(made: Rig, users: list[str]) -> int:
    """Bytes of as many last changes of each as are kept for GET /v1/why.

    Written twice: the first time grows the buffers of the connection, which would be counted as well.
    """
    why, taken = ChangeHistory(valkey=made.valkey, partition=SHARDS.partition), 0
    lists = [keys.change_history(SHARDS.partition(user), user) for user in users]
    for _ in range(2):
        before = await _used(made)
        for number in range(MAX_CHANGES):
            await why.add([_record(user, online=bool(number % 2)) for user in users])
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
