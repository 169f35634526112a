"""Command ``python -m chaos``: options, progress and the report of a run."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chaos.churn import Act
from chaos.faults import FAULTS, rounds
from chaos.nemesis import Fault
from chaos.rolling import RESHARD, START
from chaos.run import Cycle, acts_of, populated, write_trace
from chaos.stack import running

out = Console()
for name in ("pubnub", "neo4j"):  # they log errors of parts that are down on purpose
    logging.getLogger(name).setLevel(logging.CRITICAL)


def main(  # noqa: PLR0917 - a command line has as many options as it has
    minutes: Annotated[float, typer.Option(help="Minutes in which new faults begin.")] = 10.0,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same faults and acts in the same order.")
    ] = 1,
    people: Annotated[int, typer.Option(help="Number of users.")] = 36,
    officials: Annotated[int, typer.Option(help="Number of users with PubNub's SDK.")] = 3,
    report: Annotated[Path, typer.Option(help="File for the figures, as JSON.")] = Path("chaos-report.json"),
    trace: Annotated[Path, typer.Option(help="File for the trace of the run.")] = Path("chaos-trace.jsonl"),
    replay: Annotated[Path | None, typer.Option(help="Repeat the faults and acts of this trace.")] = None,
    fault: Annotated[str, typer.Option(help="Only faults whose name contains this text.")] = "",
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Use a Valkey Cluster, and let its primaries fail over.")
    ] = False,
    reshard: Annotated[
        bool,
        typer.Option("--reshard", help="No faults: 100 shards become 128, then 2,048 on two levels, live."),
    ] = False,
) -> None:
    """Kill and disturb every part of the system under load. Exit code 1 when anything was lost."""
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        plan = Plan(minutes=minutes, seed=seed, replay=replay, wanted=fault, clustered=cluster)
        if reshard:
            plan.only(RESHARD)
        cycles = asyncio.run(_run(Path(folder), plan, (people, officials), trace))
    report.write_text(json.dumps({"seed": seed, "faults": summary(cycles)}, indent=1) + "\n")
    out.print(table(cycles))
    for cycle in cycles:
        for lost in cycle.lost[:10]:
            out.print(f"[red]{cycle.fault}: {lost}")
    if any(cycle.lost for cycle in cycles):
        out.print(f"losses; repeat the run with: make chaos ARGS='--seed {seed} --replay {trace}'")
        sys.exit(1)


class Plan:
    """The sequence of faults and acts, and its end."""

    def __init__(
        self, *, minutes: float, seed: int, replay: Path | None, wanted: str, clustered: bool
    ) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self._seconds = self._until = minutes * 60
        self._wanted = wanted
        self.clustered = clustered
        self._recorded: list[tuple[Fault, list[Act] | None]] | None = _recorded(replay) if replay else None
        self.options: Mapping[str, str] = {}
        self._round: list[Fault] = []

    def only(self, faults: Sequence[Fault]) -> None:
        """Run only these faults, once each in this order."""
        self._recorded = [(fault, None) for fault in faults]
        self.options = START

    def begin(self) -> None:
        """Start the clock of the run."""
        self._until = time.monotonic() + self._seconds

    def next(self) -> tuple[Fault, list[Act] | None] | None:
        """The next fault, with its acts in a replay. None at the end."""
        if self._recorded is not None:
            return self._recorded.pop(0) if self._recorded else None
        if time.monotonic() > self._until:
            return None
        while not self._round:
            self._round = [one for one in rounds(self.chance) if self._wanted in one.name]
        return self._round.pop(0), None


def _recorded(file: Path) -> list[tuple[Fault, list[Act] | None]]:
    by_name = {fault.name: fault for fault in FAULTS}
    cycles = [json.loads(line).get("cycle") for line in file.read_text().splitlines()]
    return [(by_name[one["fault"]], [Act(**act) for act in one["acts"]]) for one in cycles if one]


async def _run(folder: Path, plan: Plan, size: tuple[int, int], trace: Path) -> list[Cycle]:
    cycles: list[Cycle] = []
    out.print("starting Neo4j, Valkey, origin, API and three bridges")
    async with (
        running(folder, more=plan.options, clustered=plan.clustered) as stack,
        populated(stack, *size, plan.chance) as run,
    ):
        plan.begin()
        while following := plan.next():
            fault, acts = following
            if not fault.possible(stack):
                continue
            cycle = await run.cycle(fault, plan.chance, acts or acts_of(run, plan.chance, fault))
            cycles.append(cycle)
            losses = f"[red]{len(cycle.lost)} lost" if cycle.lost else "nothing lost"
            out.print(
                f"{cycle.fault:42} right after {cycle.recovery:4.1f} s, {cycle.settled:3} settled, {losses}",
                soft_wrap=True,
            )
            write_trace(trace, plan.seed, cycles, run)
        for part in stack.parts.values():
            if part.restarts:
                out.print(
                    f"{part.name} ended unexpectedly {part.restarts} times, last log line: {part.last_words}"
                )
    return cycles


def summary(cycles: list[Cycle]) -> list[dict[str, object]]:
    """One row for each fault."""
    by_fault: dict[str, list[Cycle]] = defaultdict(list)
    for cycle in cycles:
        by_fault[cycle.fault].append(cycle)
    return [
        {
            "fault": name,
            "times": len(some),
            "recoveryP50": round(statistics.median(one.recovery for one in some), 1),
            "recoveryMax": round(max(one.recovery for one in some), 1),
            "settled": sum(one.settled for one in some),
            "repeats": sum(one.repeats for one in some),
            "losses": sum(len(one.lost) for one in some),
        }
        for name, some in by_fault.items()
    ]


def table(cycles: list[Cycle]) -> Table:
    made = Table(title="Results; seconds without churn until everything was right")
    made.add_column("fault", no_wrap=True)
    for column in ("times", "p50 s", "max s", "settled", "repeats", "losses"):
        made.add_column(column, justify="right", no_wrap=True)
    for row in summary(cycles):
        made.add_row(*map(str, row.values()))
    return made


if __name__ == "__main__":
    typer.run(main)
