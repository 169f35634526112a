"""The commands ``backup`` and ``restore``: options in, a printed summary out; `local_stack.data.backup` does the work."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from local_stack.cli.engines import Data, report
from local_stack.data import backup as copies
from local_stack.engines.data_folder import default_data

PANEL = "Many people at once"
As_json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def add(app: typer.Typer) -> None:
    app.command("backup", rich_help_panel=PANEL)(backup_command)
    app.command("restore", rich_help_panel=PANEL)(restore_command)


def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to write; its note is written next to it.")],
    data: Data = None,
    as_json: As_json = False,
) -> None:
    """Copy the embedded graph into one file and check the copy. Stops what runs on the data, and says so first."""
    copies.refuse_elsewhere(os.environ, "dump")
    done = asyncio.run(copies.backup(data or default_data(), file, report))
    _show("copied", file, done, as_json)


def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that backup wrote.")],
    data: Data = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the users that are there.")] = False,
    as_json: As_json = False,
) -> None:
    """Restore the embedded graph from a copy. Stops what runs on the data, and says so first."""
    copies.refuse_elsewhere(os.environ, "load")
    done = asyncio.run(copies.restore(data or default_data(), file, report, replace=replace))
    _show("restored", file, done, as_json)


def _show(verb: str, file: Path, done: copies.BackupResult, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(copies.as_json(done, file)))
        return
    note, took = done.note, sum(done.seconds.values())
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in done.seconds.items())
    typer.echo(
        f"{verb} {note.people:,} people and {note.friendships:,} friendships, {note.bytes / 1e6:,.1f} MB, "
        f"{file} ({took:.1f} s: {steps})"
    )
