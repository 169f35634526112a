"""The commands that this package adds to ``friends-presence``: up, engines, backup, generate, origin. Options only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from local_stack.cli import backup, bulk, engines
from local_stack.engines.data_folder import default_data
from local_stack.engines.launcher import Options
from local_stack.origin.cli import origin
from local_stack.stack import foreground
from local_stack.stack.up import Choice
from local_stack.stack.up import up as run_up

PANEL = "On one machine"
commands = typer.Typer()


def add_commands(app: typer.Typer) -> None:
    """Called by the main command line through the entry point ``friends_presence.commands``."""
    app.registered_commands += commands.registered_commands
    app.command(rich_help_panel=PANEL)(origin)
    bulk.add(app)
    backup.add(app)
    app.add_typer(engines.app, name="engines", rich_help_panel=PANEL)


@commands.command(rich_help_panel=PANEL)
def up(
    data: engines.Data = None,
    json: Annotated[
        Path | None, typer.Option(help="Write addresses and keys to this file once everything is ready.")
    ] = None,
    port: Annotated[int, typer.Option(envvar="PORT", help="Port of the API; 0 takes a free one.")] = 0,
    people: Annotated[int, typer.Option(help="Demo people.")] = 3000,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Leave the demo people out.")] = False,
    neo4j_port: engines.Neo4jPort = 0,
    redis_port: engines.RedisPort = 0,
    origin_port: Annotated[int, typer.Option(help="Port of the local origin; 0 takes a free one.")] = 0,
    heap: engines.Heap = None,
    page_cache: engines.PageCache = None,
    control: Annotated[
        bool, typer.Option("--control", help="The origin serves /_control/: faults, clock, counters.")
    ] = False,
) -> None:
    """Start everything in the foreground: Neo4j, Valkey, origin, API, bridge and demo people. Ctrl-C stops it."""
    choice = Choice(
        data=data or default_data(),
        port=port,
        origin_port=origin_port,
        engines=Options(neo4j_port=neo4j_port, redis_port=redis_port, heap=heap, page_cache=page_cache),
        json=json.absolute() if json else None,
        people=0 if no_demo else people,
        control=control,
    )
    foreground.run(run_up(choice, engines.report), engines.report)
