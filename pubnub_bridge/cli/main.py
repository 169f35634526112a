"""The command friends-presence: all subcommands, each delegating to another file.

Other packages add theirs by the entry point group ``friends_presence.commands``, so nothing imports them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import graph_service
from graph_service.api.app import OWN
from graph_service.api.dev_tokens import mint
from graph_service.api.openapi import document
from graph_service.errors import FriendsError
from graph_service.graph import migrations
from graph_service.graph.driver import check, connect
from graph_service.settings import Settings, load
from pubnub_bridge import process
from pubnub_bridge.api.routes import TABLES
from pubnub_bridge.cli import bulk, operate, privacy, simulate, users
from pubnub_bridge.client.connection_info import options as stack_options
from pubnub_bridge.settings import Settings as BridgeSettings

app = typer.Typer(
    name="friends-presence",
    help="A friend graph and live friend presence service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
err = Console(stderr=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(graph_service.__version__)
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A friend graph and live friend presence service."""


@app.command()
def serve(
    no_api: Annotated[bool, typer.Option("--no-api", help="Bridge presence; serve no HTTP.")] = False,
    api_only: Annotated[bool, typer.Option("--api-only", help="Serve HTTP; bridge no presence.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes on one port (WORKERS).")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API (PORT); 0 takes a free one.")] = None,
) -> None:
    """Serve the API and bridge presence, with the options of the environment."""
    if no_api and api_only:
        raise typer.BadParameter(
            "exclude each other: the process would do nothing", param_hint="--no-api, --api-only"
        )
    overrides = {
        name: value for name, value in {"workers": workers, "port": port}.items() if value is not None
    }
    roles = process.Roles.BRIDGE if no_api else process.Roles.API if api_only else process.Roles.BOTH
    raise typer.Exit(process.run(load(BridgeSettings, **overrides), roles))


@app.command()
def token(
    user: Annotated[str, typer.Argument(help="The user's id, the token's subject.")],
    seconds: Annotated[float, typer.Option(help="How long the token is good for.")] = 3600.0,
    stack: Annotated[
        Path | None, typer.Option(help="The file that `up --json` wrote; else the environment.")
    ] = None,
) -> None:
    """Mint a development token with JWT_SECRET; refused with production settings."""
    overrides = stack_options(stack) if stack else {}
    typer.echo(mint(load(Settings, **overrides), user, time.time(), seconds))


@app.command()
def openapi() -> None:
    """Print the API document (OpenAPI 3.1)."""
    typer.echo(json.dumps(document([*OWN, *TABLES]), indent=1))


@app.command()
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be applied; change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Apply the pending migrations to the graph."""
    applied, pending = asyncio.run(_migrate(load(Settings), plan))
    if as_json:
        typer.echo(json.dumps({"applied": applied, "pending" if plan else "new": pending}))
        return
    table = Table("migration", "state")
    for source in applied:
        table.add_row(source, "applied before")
    for source in pending:
        table.add_row(source, "pending" if plan else "applied now")
    Console().print(table)


async def _migrate(settings: Settings, plan_only: bool) -> tuple[list[str], list[str]]:
    known = migrations.folder()
    async with connect(settings) as graph:
        await check(graph, settings)
        before = await migrations.plan(graph, known)
        if plan_only:
            await migrations.dry_run(graph, before.pending)
            pending = list(before.pending)
        else:
            pending = await migrations.migrate(graph, known, settings.neo4j_user)
    applied = [migration.source for migration in known if migration not in pending]
    return applied, [migration.source for migration in pending]


bulk.add(app)
users.add(app)
operate.add(app)
simulate.add(app)
privacy.add(app)


def main() -> None:
    """Run a command; a known error is one line that says what to do, and exit code 1."""
    for point in sorted(entry_points(group="friends_presence.commands"), key=lambda point: point.name):
        with suppress(ModuleNotFoundError):  # the extra that it needs is not installed, as in a container
            point.load()(app)
    try:
        app()
    except FriendsError as problem:
        err.print(f"[red]error[/red] ({problem.code}): ", end="")
        err.print(str(problem), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
