"""The command erase: a person is erased everywhere, and the proof is printed. Knows options and tables only."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from graph_service.app import Backends, build_services
from graph_service.errors import UserNotFound
from graph_service.graph.driver import connect
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.api.erasure import erasers
from pubnub_bridge.api.erasure_check import Traces, find_traces
from pubnub_bridge.cli.operate import PANEL, AsJson, Stack, settings_from_stack
from pubnub_bridge.runtime.context import open_context
from pubnub_bridge.settings import Settings

STEP = 0.5
"""Seconds between two looks."""

Done = tuple[Mapping[str, Any] | None, Traces]


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("erase", rich_help_panel=PANEL)(erase_command)


def erase_command(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    stack: Stack = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the streams to have told friends.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Erase a user everywhere, then look into every store. Exit code 1 while anything is left; ask again then."""
    report, found = asyncio.run(_erase(settings_from_stack(stack), user, wait))
    if as_json:
        told = {"erased": report, "traces": found.model_dump(mode="json", by_alias=True)}
        typer.echo(json.dumps(told, indent=1))
    else:
        _show(report, found)
    raise typer.Exit(0 if found.clean else 1)


async def _erase(settings: Settings, user: str, wait: float) -> Done:
    async with (
        connect(settings) as graph,
        open_valkey(settings.redis_url.get_secret_value()) as valkey,
        open_context(settings, opened := Backends(graph, valkey)) as context,
    ):
        report: Mapping[str, Any] | None = None
        with suppress(UserNotFound):  # erased before, and the proof is wanted again
            report = await build_services(settings, opened, erasers(context)).people.erase(user)
        until = time.monotonic() + wait
        while not (found := await find_traces(context, user)).clean and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(STEP)
        return report, found


def _show(report: Mapping[str, Any] | None, found: Traces) -> None:
    console = Console()
    table = Table("store", "left", "note")
    for one in found.stores:
        told = one.note if one.complete else "longer than what was looked at"
        table.add_row(one.store, str(one.left), told, style="red" if one.left and not one.note else "")
    console.print(table)
    if report is None:
        console.print(f"There is no user '{found.user_id}' any more.")
    else:
        console.print(", ".join(f"{store}: {json.dumps(dict(did))}" for store, did in report.items()))
    console.print("Clean." if found.clean else "Not clean yet: ask again.")
