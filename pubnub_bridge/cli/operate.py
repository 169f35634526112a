"""The commands redrive and doctor."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graph_service.settings import load
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.client.connection_info import DEFAULT_PATH, bridge_options
from pubnub_bridge.doctor.examine import examine
from pubnub_bridge.doctor.finding import Finding, State, failed, report
from pubnub_bridge.settings import Settings
from pubnub_bridge.store.dead_letters import DeadLetter, DeadLetters

PANEL = "Operation"
MAX_SHOWN_DEAD_LETTERS = 1000
MAX_SHOWN_EVENTS = 3
MARKS = {State.FINE: ("✓", "green"), State.WARNING: ("!", "yellow"), State.FAILURE: ("✗", "red")}

Stack = Annotated[
    Path | None,
    typer.Option(
        "--stack", help="The file that `up --json` wrote; else .data/stack.json, else the environment."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add(app: typer.Typer) -> None:
    app.command("redrive", rich_help_panel=PANEL)(redrive_command)
    app.command("doctor", rich_help_panel=PANEL)(doctor_command)


def redrive_command(
    stack: Stack = None,
    only_list: Annotated[bool, typer.Option("--list", help="Only list them.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the dead letters (what PubNub or the graph rejected as invalid), and put them back into their streams."""
    dead_letters, redriven = asyncio.run(_redrive(settings_from_stack(stack), only_list))
    if as_json:
        rows = [
            {"kind": one.kind, "inbox": one.inbox, "reason": one.reason, "eventIds": one.event_ids}
            for one in dead_letters
        ]
        typer.echo(json.dumps({"letters": rows, "redriven": redriven}, indent=1))
    else:
        _show(dead_letters, redriven, only_list)


def doctor_command(
    stack: Stack = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Compare Here Now, flags and App Context, and print the differences."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, databases and PubNub, and print how to fix what is wrong. Exit code 1 where a check fails."""
    findings = asyncio.run(examine(settings_from_stack(stack), deep))
    if as_json:
        typer.echo(json.dumps(report(findings), indent=1))
    else:
        Console().print(_table(findings))
    raise typer.Exit(1 if failed(findings) else 0)


def _table(findings: list[Finding]) -> Table:
    table = Table("", "area", "check", "found", "what to do")
    for one in findings:
        mark, colour = MARKS[one.state]
        table.add_row(mark, one.area, one.check, escape(one.found), escape(one.todo), style=colour)
    return table


def settings_from_stack(stack: Path | None) -> Settings:
    """The settings of the stack file, else of the default stack file where it exists, else of the environment.

    Raises:
        SetupError: the file is malformed, or an option is wrong.
    """
    stack = stack or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
    return load(Settings, **(bridge_options(stack) if stack else {}))


async def _redrive(settings: Settings, only_list: bool) -> tuple[list[DeadLetter], int]:
    async with open_valkey(settings.redis_url.get_secret_value()) as valkey:
        dead = DeadLetters(valkey=valkey, partitions=settings.partitions)
        listed = await dead.all(MAX_SHOWN_DEAD_LETTERS)
        return listed, 0 if only_list else await dead.redrive()


def _show(dead_letters: list[DeadLetter], redriven: int, only_list: bool) -> None:
    console = Console()
    if dead_letters:
        table = Table("kind", "of", "reason", "events")
        for one in dead_letters:
            events = one.event_ids
            more = f" and {len(events) - MAX_SHOWN_EVENTS} more" if len(events) > MAX_SHOWN_EVENTS else ""
            table.add_row(one.kind, one.inbox, one.reason, "\n".join(events[:MAX_SHOWN_EVENTS]) + more)
        console.print(table)
    done = "nothing put back (--list)" if only_list else f"{redriven} put back"
    console.print(f"{len(dead_letters)} dead letter(s) · {done}" if dead_letters else "No dead letters.")
