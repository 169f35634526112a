"""How long the graph is away for a copy, and how long until a restored one answers. Knows the steps' own clocks."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.harness.loaded import load
from bench.harness.measure import machine
from local_stack.data import backup
from local_stack.data.generate import generate
from local_stack.engines.launcher import Options, running

RESULT = Path("docs/benchmarks/recovery.json")


async def measure(people: int, seed: int) -> dict[str, Any]:
    """Makes people with 500 to 1000 friends, copies them, restores them into an empty folder, starts that."""
    told: dict[str, Any] = {
        "command": f"python -m bench.graph.recovery --people {people} --seed {seed}",
        "seed": seed,
    }
    told["machine"] = machine()
    with tempfile.TemporaryDirectory(prefix="recovery-") as name:
        folder = Path(name)
        data = await load(folder, generate(people, 500, 1000, seed), seed)
        began = time.monotonic()
        copied = await backup.backup(data, folder / "copy.dump", typer.echo)
        away = time.monotonic() - began
        began = time.monotonic()
        restored = await backup.restore(folder / "restored", folder / "copy.dump", typer.echo)
        made = time.monotonic() - began
        began = time.monotonic()
        async with running(folder / "restored", Options(), {}):
            answers = time.monotonic() - began
    return told | {
        "note": asdict(copied.note),
        "backupSeconds": {**copied.seconds, "all": round(away, 2)},
        "restoreSeconds": {**restored.seconds, "all": round(made, 2)},
        "startSeconds": round(answers, 2),
    }


def table(told: dict[str, Any]) -> Table:
    """For people."""
    note = told["note"]
    made = Table(
        title=f"{note['people']:,} people, {note['friendships']:,} friendships, {note['bytes'] / 1e6:,.0f} MB"
    )
    made.add_column("step")
    made.add_column("seconds", justify="right")
    for name, steps in (("backup", told["backupSeconds"]), ("restore", told["restoreSeconds"])):
        for step, seconds in steps.items():
            made.add_row(f"{name}: {step}", f"{seconds:.1f}")
    made.add_row("start of the engines", f"{told['startSeconds']:.1f}")
    return made


def main(
    people: Annotated[int, typer.Option(help="How many.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the graph.")] = 1,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = RESULT,
) -> None:
    """Measure, show, write."""
    told = asyncio.run(measure(people, seed))
    Console().print(table(told))
    json_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
