"""Compare predictions of `friends-presence simulate` with measured benchmarks: no error may exceed 20 %.

Reads the files of docs/benchmarks. Unit costs are fitted to two populations of one run (docs/benchmarks/sizing.json,
``--write``) and compared with figures of other populations. Run it with ``make bench-sizing``, or
``python -m bench.bridge.check_sizing FILE…`` on files of earlier runs.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.bridge.unit_costs import as_toml, unit_costs
from pubnub_bridge.debounce.committer import MAX_BATCH
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.sizing import figures, machines
from pubnub_bridge.sizing.figures import UnitCosts
from pubnub_bridge.sizing.load import MIN_INTERVAL_SECONDS, Load, cycle, load, messages
from pubnub_bridge.sizing.product import Product

DOCS = Path("docs/benchmarks")
SOURCE = DOCS / "sizing.json"
DEFAULT_FILES = ("sizing", "bridge", "fanout", "whole", "growth", "growth-large")
MAX_ERROR = 0.20
ONLINE_SHARE = 0.3
"""The share of users who are online in every benchmark."""
WIDTH = 118
"""Columns without a terminal, so that rows are not wrapped."""
NAME_BYTES = 12
"""Of a generated user."""
ID_BYTES = 8
MAX_CORE_SHARE, MAX_LATENESS_SECONDS = 0.7, 0.5
"""A process keeps up with its load below this share of a core and this p99 lateness."""
MAX_MESSAGES = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure, predicted and measured."""

    source: str
    what: str
    predicted: float
    measured: float
    unit: str

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted / self.measured - 1 if self.measured else float("inf")

    @property
    def within(self) -> bool:
        return abs(self.error) <= MAX_ERROR

    def row(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": round(self.measured, 3),
            "unit": self.unit,
            "predicted": round(self.predicted, 3),
            "errorPercent": round(100 * self.error, 1),
            "source": self.source,
        }


def main(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Benchmark results; all of docs/benchmarks by default.")
    ] = None,
    calibration: Annotated[Path, typer.Option(help="The run that the unit costs are fitted to.")] = DOCS
    / "sizing.json",
    write: Annotated[bool, typer.Option("--write", help="Write the unit costs of that run first.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="Write the comparison here.")] = None,
) -> None:
    """Compare predictions with measurements. Exit code 1 where an error exceeds 20 %."""
    if write:
        run = json.loads(calibration.read_text(encoding="utf-8"))
        figures.UNIT_COSTS.write_text(as_toml(unit_costs(run, str(SOURCE))), encoding="utf-8")
    costs = figures.unit_costs()
    found = files or [file for name in DEFAULT_FILES if (file := DOCS / f"{name}.json").exists()]
    pairs = [
        pair for file in found for pair in compared(file.name, json.loads(file.read_text("utf-8")), costs)
    ]
    if not pairs:
        raise typer.BadParameter("nothing in these files can be predicted", param_hint="FILES")
    (Console() if sys.stdout.isatty() else Console(width=WIDTH)).print(table(pairs))
    if out:
        out.write_text(json.dumps([pair.row() for pair in pairs], indent=1) + "\n", encoding="utf-8")
    raise typer.Exit(0 if all(pair.within for pair in pairs) else 1)


def compared(source: str, run: Mapping[str, Any], costs: UnitCosts) -> Iterator[Pair]:
    """All results of a benchmark that can be predicted."""
    if "steady" in run:
        yield from _steady(source, run, costs)
    if "steps" in run and "plan" in run:
        yield from _whole(source, run)
    if "onlineFriends" in run.get("population", {}):
        yield from _fanout(source, run)
    elif "population" in run and "populations" in run:
        yield from _growth(source, run, costs)
    elif "population" in run and any("what" in one for one in run.get("results", ())):
        yield from _bridge(source, run, costs)


def _product(users: int, friends: float, transitions: float, window: float) -> Product:
    """A product with so many changes a second."""
    online = max(1, int(ONLINE_SHARE * users))
    return Product(
        online=online,
        friends=round(friends),
        session=max(10.0, 2 * online / max(transitions, 1e-6)) if transitions else 1800.0,
        online_share=ONLINE_SHARE,
        window=window,
        id_bytes=ID_BYTES,
        name_bytes=NAME_BYTES,
    )


def _steady(source: str, run: Mapping[str, Any], costs: UnitCosts) -> Iterator[Pair]:
    """One bridge, and only loads that it kept up with."""
    for step in run["steady"]:
        if step["role"] != "check" or not step["transitions"]:
            continue
        if step["cpu"]["bridge"] > 1000 * MAX_CORE_SHARE:
            continue
        rates = load(_product(step["people"], step["friends"], step["transitions"], step["window"]))
        made = messages(rates, step["window"])
        used = machines.cores_with(rates, made, step["friends"], costs, bridges=1)
        at = f"window {step['window']:g} s, {step['transitions']:,.0f} changes/s"
        yield Pair(source, f"deliveries, {at}", rates.deliveries, step["deliveries"], "1/s")
        yield Pair(source, f"publishes, {at}", made.publishes + rates.syncs, step["publishes"], "1/s")
        cpu = step["cpu"]
        for name, cores in (("bridge", used.bridge), ("Neo4j", used.neo4j)):
            yield Pair(source, f"CPU of {name}, {at}", 1000 * cores, cpu[name], "ms/s")
        yield Pair(source, f"CPU of all servers, {at}", 1000 * used.used, sum(cpu.values()), "ms/s")
    for one in run["weights"]:
        if one["role"] == "check":
            yield from _weights(source, one, costs)


def _weights(source: str, one: Mapping[str, Any], costs: UnitCosts) -> Iterator[Pair]:
    product = _product(one["people"], 2 * one["friendships"] / one["people"], 0.0, 0.0)
    each = costs.bytes
    store = machines.store_bytes(one["people"], one["friendships"], costs)
    notification_bytes = one["notices"] * machines.notification_bytes(product, load(product), costs)
    what = f"{one['people']:,} users"
    yield Pair(source, f"Neo4j's store, {what}", store, one["storeBytes"], "bytes")
    yield Pair(
        source, f"notifications in inbox streams, {what}", notification_bytes, one["inboxBytes"], "bytes"
    )
    yield Pair(
        source, f"changes in presence logs, {what}", one["changes"] * each.seen, one["seenBytes"], "bytes"
    )
    yield Pair(source, f"change history, {what}", one["whyUsers"] * each.why, one["whyBytes"], "bytes")


def _whole(source: str, run: Mapping[str, Any]) -> Iterator[Pair]:
    """Only sustained rates: above them batch windows widen, and what is measured is a queue."""
    plan = run["plan"]
    for step in run["steps"]:
        found = re.fullmatch(r"([\d.]+) s", step["window"])
        if not step["kept"] or not found:
            continue
        friends, window = run.get("friends", (plan["low"] + plan["high"]) / 2), float(found[1])
        rates: Load = load(_product(plan["people"], friends, step["transitions"], window))
        at = f"window {window:g} s, {step['transitions']:,.0f} changes/s"
        yield Pair(source, f"deliveries, {at}", rates.deliveries, step["deliveries"], "1/s")
        yield Pair(source, f"messages, {at}", messages(rates, window).publishes, step["publishes"], "1/s")


def _fanout(source: str, run: Mapping[str, Any]) -> Iterator[Pair]:
    """Short loads, which end before messages reach a steady rate; only those that the process kept up with.

    Where half of the messages are later than `BatchWindow.calm`, the window has widened and is not the requested one.
    """
    online, friends = run["population"]["online"], run["population"]["onlineFriends"]
    for one in run["results"]:
        window, churn, max_late_ms = (
            one["window_s"],
            one["churn"],
            1000 * (one["window_s"] + MAX_LATENESS_SECONDS),
        )
        late = one["p50"] > 1000 * (one["window_s"] + BatchWindow().calm_seconds)
        if not churn or one["busy"] > MAX_CORE_SHARE or one["p99"] > max_late_ms or late:
            continue
        rate = churn * friends / online
        lasted = run["loadSeconds"] + window
        begun = messages_begun(rate, cycle(rate, window, MIN_INTERVAL_SECONDS) - 1 / rate, lasted)
        measured = 1 - one["saved"] / 100
        what = f"publishes for a delivery, window {window:g} s, {churn:,.0f} changes/s"
        yield Pair(source, what, begun / (rate * lasted), measured, "")


def messages_begun(rate: float, dead: float, seconds: float) -> float:
    """Expected messages to one inbox in the first `seconds`; after each begins, the next cannot for `dead` seconds.

    The k-th begins after k exponential waits for an event and k - 1 dead times.
    """
    total, number = 0.0, 1
    while (left := seconds - (number - 1) * dead) > 0 and number <= MAX_MESSAGES:
        chance, none = math.exp(-rate * left), 0.0
        for events in range(number):
            none += chance
            chance *= rate * left / (events + 1)
        total += 1 - none
        number += 1
    return total


def _bridge(source: str, run: Mapping[str, Any], costs: UnitCosts) -> Iterator[Pair]:
    """A burst. Its rates and windows depend on the machine, so only costs per change are compared, at the measured saving."""
    results = {one["what"]: one["value"] for one in run["results"]}
    low, high = map(int, run["population"]["friends"].split("-"))
    product = _product(run["population"]["people"], (low + high) / 2, 1.0, 0.0)
    if debounce_bytes := results.get("memory of a user online"):
        yield Pair(source, "debouncer, a user online", costs.bytes.hold_user, debounce_bytes, "bytes")
    for window in ("window 0 s", "window 1 s"):
        deliveries = results.get(f"deliveries a second, {window}", 0.0)
        changes = results.get(f"changes a second, everything on this machine, {window}", 0.0)
        if not deliveries or not changes:
            continue
        each = deliveries / changes
        yield Pair(source, f"deliveries of a change, {window}", product.friends_online, each, "friends")
        published = 1 - results.get(f"publishes saved, {window}", 100.0) / 100
        bridge = costs.bridge.batch / MAX_BATCH + costs.bridge.transition
        bridge += each * (costs.bridge.delivery + published * costs.bridge.publish)
        graph = costs.neo4j.batch / MAX_BATCH + costs.neo4j.transition + product.friends * costs.neo4j.friend
        for name, cost in (("bridge", bridge), ("Neo4j", graph)):
            if name == "Neo4j" and window == "window 0 s":
                continue  # the first burst after a start includes JVM compilation
            if used := results.get(f"CPU of {name}, {window}"):
                yield Pair(source, f"CPU of {name} a change, {window}", cost, used * each / 1000, "ms")


def _growth(source: str, run: Mapping[str, Any], costs: UnitCosts) -> Iterator[Pair]:
    values = {figure["what"]: figure["value"] for figure in run["results"]}
    for one in run["populations"]:
        name, what = f"{one['people']:,} people", f"{one['people']:,} users"
        store = machines.store_bytes(one["people"], one["friendships"], costs)
        yield Pair(source, f"Neo4j's store, {what}", store / 2**20, values[f"{name}: store"], "MiB")
        # Files of runs before 2026-12 have the second name.
        names = (f"{name}: bridge's debouncer, a user online", f"{name}: bridge's hold, a user online")
        debounce_bytes = next(values[name] for name in names if name in values)
        yield Pair(
            source, f"debouncer, a user online, {what}", costs.bytes.hold_user, debounce_bytes, "bytes"
        )


def table(pairs: Sequence[Pair]) -> Table:
    """For the terminal; errors above the limit are red."""
    shown = Table("measured in", "what", "predicted", "measured", "unit", "error")
    for one in pairs:
        digits = 1 if one.measured >= 10 else 3
        figures_ = (f"{one.predicted:,.{digits}f}", f"{one.measured:,.{digits}f}", one.unit)
        style = None if one.within else "red"
        shown.add_row(one.source, one.what, *figures_, f"{one.error:+.1%}", style=style)
    return shown


if __name__ == "__main__":
    typer.run(main)
