"""Recovery benchmark: how long a backup makes the graph unavailable, and how long a restore and a start take."""

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
    """Back up users with 500 to 1000 friends each, restore into an empty folder, and start the databases on it."""
    figures: dict[str, Any] = {
        "command": f"python -m bench.graph.recovery --people {people} --seed {seed}",
        "seed": seed,
    }
    figures["machine"] = machine()
    with tempfile.TemporaryDirectory(prefix="recovery-") as name:
        folder = Path(name)
        data = await load(folder, generate(people, 500, 1000, seed), seed)
        began = time.monotonic()
        copied = await backup.backup(data, folder / "copy.dump", typer.echo)
        backup_seconds = time.monotonic() - began
        began = time.monotonic()
        restored = await backup.restore(folder / "restored", folder / "copy.dump", typer.echo)
        restore_seconds = time.monotonic() - began
        began = time.monotonic()
        async with running(folder / "restored", Options(), {}):
            start_seconds = time.monotonic() - began
    return figures | {
        "note": asdict(copied.note),
        "backupSeconds": {**copied.seconds, "all": round(backup_seconds, 2)},
        "restoreSeconds": {**restored.seconds, "all": round(restore_seconds, 2)},
        "startSeconds": round(start_seconds, 2),
    }


def table(figures: dict[str, Any]) -> Table:
    note = figures["note"]
    shown = Table(
        title=f"{note['people']:,} users, {note['friendships']:,} friendships, {note['bytes'] / 1e6:,.0f} MB"
    )
    shown.add_column("step")
    shown.add_column("seconds", justify="right")
    for name, steps in (("backup", figures["backupSeconds"]), ("restore", figures["restoreSeconds"])):
        for step, seconds in steps.items():
            shown.add_row(f"{name}: {step}", f"{seconds:.1f}")
    shown.add_row("start of the databases", f"{figures['startSeconds']:.1f}")
    return shown


def main(
    people: Annotated[int, typer.Option(help="How many users.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the graph.")] = 1,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = RESULT,
) -> None:
    """Measure, print and write the figures."""
    figures = asyncio.run(measure(people, seed))
    Console().print(table(figures))
    json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
