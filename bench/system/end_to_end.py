"""End-to-end benchmark: the whole system at rising churn. Ages of notifications, and CPU of each process.

Databases, origin, API and bridge are started as ``friends-presence up`` starts them. Rates rise until p99 of the age exceeds
its limit, once with the default window and once with a fixed one. Or a trace is played, such as an evening's. Everything
runs on this machine, the clients included. Run it with ``make bench-whole``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.bridge.rig import DEBOUNCE_SECONDS as SINK_DEBOUNCE_SECONDS
from bench.harness import measure, steps
from bench.harness.steps import MAX_P99_MILLISECONDS
from bench.system import into_sink, rising_rates
from bench.system.rising_rates import DEBOUNCE_MILLISECONDS, Plan

RATES = "10,25,50,100,150,200,300,400,600,800"


def main(
    people: Annotated[int, typer.Option(help="How many users; three in ten are online.")] = 20_000,
    friends: Annotated[str, typer.Option(help="Fewest and most friends of a user.")] = "500-1000",
    seed: Annotated[int, typer.Option(help="Seed of population and churn.")] = 1,
    seconds: Annotated[float, typer.Option(help="Seconds that each rate is measured.")] = 20.0,
    rates: Annotated[str, typer.Option(help="Transitions a second, rising.")] = RATES,
    fresh: Annotated[bool, typer.Option(help="Each user who joins requests a new session.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write the transitions of all users here.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Play this trace instead of rising rates; see python -m bench.harness.traces."),
    ] = None,
    speed: Annotated[float, typer.Option(help="Speed of a replay.")] = 1.0,
    sink: Annotated[bool, typer.Option(help="Publish into a sink; presence comes from the log.")] = False,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here, and a chart next to them.")
    ] = None,
) -> None:
    """Measure the whole system at rising churn."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    low, high = (int(word) for word in friends.split("-"))
    wanted = tuple(map(float, rates.split(",")))
    plan = Plan(people, low, high, seed, seconds, wanted, fresh, str(record or ""), str(replay or ""), speed)
    before, began = measure.machine(), time.monotonic()
    found, facts = uvloop.run(into_sink.run(plan) if sink else rising_rates.run(plan))
    lines, started = steps.full_load(found), [facts.pop("started")] if "started" in facts else []
    Console().print(steps.table(found), steps.arithmetic(lines))
    if out:
        document = {
            "command": " ".join(["python -m bench.system.end_to_end", *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": before,
            "plan": asdict(plan)
            | {
                "holdMs": SINK_DEBOUNCE_SECONDS * 1000 if sink else DEBOUNCE_MILLISECONDS,
                "limitMs": MAX_P99_MILLISECONDS,
            },
            **facts,
            "seconds": round(time.monotonic() - began),
            "results": [*steps.results(found, sink), *started],
            "steps": [one.figures() for one in found],
            "arithmetic": [line.row() for line in lines],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        title = f"Ages beyond the debounce time, {people:,} users" + (", into a sink" if sink else "")
        out.with_suffix(".svg").write_text(steps.drawing(found, title), "utf-8")


if __name__ == "__main__":
    typer.run(main)
