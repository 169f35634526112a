"""The command erase: erase a user in every store, then print what is left."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
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

POLL_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erase did, by store (None where the user was erased before), and what is left."""

    report: Mapping[str, Any] | None
    traces: Traces


def add(app: typer.Typer) -> None:
    app.command("erase", rich_help_panel=PANEL)(erase_command)


def erase_command(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    stack: Stack = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait until friends are notified and the streams are clean.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Erase a user everywhere, then search every store. Exit code 1 while anything is left: run it again."""
    erased = asyncio.run(_erase(settings_from_stack(stack), user, wait))
    if as_json:
        traces = erased.traces.model_dump(mode="json", by_alias=True)
        typer.echo(json.dumps({"erased": erased.report, "traces": traces}, indent=1))
    else:
        _show(erased)
    raise typer.Exit(0 if erased.traces.clean else 1)


async def _erase(settings: Settings, user: str, wait: float) -> Erased:
    async with (
        connect(settings) as graph,
        open_valkey(settings.redis_url.get_secret_value()) as valkey,
        open_context(settings, opened := Backends(graph=graph, valkey=valkey)) as context,
    ):
        report: Mapping[str, Any] | None = None
        with suppress(UserNotFound):  # erased before: only the proof is repeated
            report = await build_services(settings, opened, erasers(context)).users.erase(user)
        until = time.monotonic() + wait
        while not (found := await find_traces(context, user)).clean and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
        return Erased(report=report, traces=found)


def _show(erased: Erased) -> None:
    report, found, console = erased.report, erased.traces, Console()
    table = Table("store", "left", "note")
    for one in found.stores:
        note = one.note if one.complete else "too long to be searched completely"
        table.add_row(one.store, str(one.left), note, style="red" if one.left and not one.note else "")
    console.print(table)
    if report is None:
        console.print(f"There is no user '{found.user_id}' any more.")
    else:
        console.print(", ".join(f"{store}: {json.dumps(dict(did))}" for store, did in report.items()))
    console.print("Clean." if found.clean else "Not clean yet: run it again.")
