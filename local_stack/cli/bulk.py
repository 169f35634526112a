"""The commands ``generate`` and ``import --offline``: options in, a printed summary out."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from graph_service.errors import BadInput
from graph_service.settings import Settings, load
from local_stack.data import generated_csv, offline
from local_stack.data.generate import clustering
from local_stack.data.generate import generate as make
from local_stack.engines.data_folder import default_data
from pubnub_bridge.cli import bulk as online

PANEL = "Many people at once"


class BadRange(BadInput):
    """--friends: '{given}' is not a range such as 500-1000."""

    code = "bad_range"


def add(app: typer.Typer) -> None:
    """Add ``generate``, and replace ``import`` by one that also takes ``--offline``."""
    app.registered_commands = [one for one in app.registered_commands if one.name != "import"]
    app.command("import", rich_help_panel=PANEL)(import_command)
    app.command("generate", rich_help_panel=PANEL)(generate_command)


def generate_command(
    out: Annotated[Path, typer.Option("--out", help="The folder for people.csv and friendships.csv.")],
    people: Annotated[int, typer.Option("--people", min=1, help="How many people.")] = 3000,
    friends: Annotated[str, typer.Option("--friends", help="Fewest and most friends of one.")] = "500-1000",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same graph.")] = 1,
    as_json: online.AsJson = False,
) -> None:
    """Make up people and a realistic friend graph, as CSV."""
    low, high = _range(friends)
    began = time.monotonic()
    population = make(people, low, high, seed)
    with online.progress("friendships", len(population.pairs)) as advance:
        generated_csv.write(population, out, seed, advance)
    summary = {
        "people": people,
        "friendships": len(population.pairs),
        "friends": f"{population.low}-{population.high}",
        "mean": round(2 * len(population.pairs) / people, 1),
        "clustering": round(clustering(population.pairs, people), 3),
        "seed": seed,
        "folder": str(out),
        "seconds": round(time.monotonic() - began, 2),
    }
    if as_json:
        typer.echo(json.dumps(summary))
        return
    if (population.low, population.high) != (low, high):
        typer.echo(f"{people:,} people cannot have {friends} friends each; they got {summary['friends']}.")
    typer.echo(
        f"{people:,} people and {summary['friendships']:,} friendships in {out}: {summary['mean']} friends each, "
        f"local clustering {summary['clustering']} ({summary['seconds']} s)"
    )


def import_command(
    people: online.UsersCsv,
    friendships: online.FriendshipsCsv,
    is_offline: Annotated[
        bool, typer.Option("--offline", help="Write a whole new database into --data; nothing may run there.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="With --offline: folder of the data; .data by default.")
    ] = None,
    at: online.At = None,
    report: online.Report = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over instead of resuming an interrupted import.")
    ] = False,
    as_json: online.AsJson = False,
) -> None:
    """Load people and friendships into the running graph. After an interruption, run it again to resume."""
    if not is_offline:
        online.import_(people, friendships, at, report, restart, as_json)
        return
    files = online.Files.of(people, friendships, report)
    sources = offline.Sources(people, friendships, load(Settings))
    console = Console(stderr=True)
    began = time.monotonic()
    done = asyncio.run(
        offline.load(data or default_data(), sources, lambda text: console.print(text, highlight=False))
    )
    took = time.monotonic() - began
    online.show(done.tallies, files.report, took, as_json)
    if not as_json:
        made = done.tallies[1].made
        rate = made / max(done.tool_seconds, 0.001)
        typer.echo(
            f"{took:.1f} s, of which Neo4j's import {done.tool_seconds:.1f} s: {rate:,.0f} friendships/s"
        )


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise BadRange(given=text) from None
