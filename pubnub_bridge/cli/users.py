"""The commands watch and join: being one user in a terminal. Knows options and signals; the work is elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pubnub_bridge.client.api import ApiClient
from pubnub_bridge.client.connection_info import ConnectionInfo, read_connection_info
from pubnub_bridge.client.device import Connected, Device, Trouble, present
from pubnub_bridge.client.terminal import JsonLines, Lines
from pubnub_bridge.client.watcher import Watcher

PANEL = "Being one user"

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]
Stack = Annotated[
    Path | None,
    typer.Option(
        "--stack", help="The file that `up --json` wrote; else .data/stack.json, else the environment."
    ),
]


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("watch", rich_help_panel=PANEL)(watch_command)
    app.command("join", rich_help_panel=PANEL)(join_command)


def watch_command(
    user: User,
    stack: Stack = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Be USER and see their inbox live: who of their friends comes and goes. Ctrl-C leaves."""
    _until_signal(
        _watch_json(read_connection_info(stack), user)
        if as_json
        else _watch(read_connection_info(stack), user)
    )


def join_command(
    user: User,
    stack: Stack = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, help="How long; until Ctrl-C by default.")
    ] = None,
) -> None:
    """Make USER present, then leave."""
    _until_signal(_join(read_connection_info(stack), user, seconds))


async def _watch(where: ConnectionInfo, user: str) -> None:
    console = Console(highlight=False)
    with console.status(f"{user} · connecting", refresh_per_second=4) as below:
        async with ApiClient.open(where) as api:
            await _first_of(Watcher(api, user, Lines(console, user, below)).run())


async def _watch_json(where: ConnectionInfo, user: str) -> None:
    async with ApiClient.open(where) as api:
        await _first_of(Watcher(api, user, JsonLines(user, lambda line: print(line, flush=True))).run())  # noqa: T201


async def _first_of(run: Coroutine[Any, Any, None]) -> None:
    """Errors of a task group come alone where there is one."""
    try:
        await run
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _join(where: ConnectionInfo, user: str, seconds: float | None) -> None:
    async with ApiClient.open(where) as api:
        try:
            async with present(api, user) as device, asyncio.timeout(seconds):
                await _tell(device, user, where)
        except TimeoutError:
            pass
        finally:
            typer.echo(f"{user} has left")


async def _tell(device: Device, user: str, where: ConnectionInfo) -> None:
    hold = where.settings.debounce_online_seconds
    async for heard in device.listen():
        match heard:
            case Connected():
                typer.echo(
                    f"{user} is present; friends are told after the hold ({hold:g} s unless set otherwise)"
                )
            case Trouble(reason):
                typer.echo(f"not connected: {reason}", err=True)


def _until_signal(main: Coroutine[Any, Any, None]) -> None:
    """Runs it; Ctrl-C and SIGTERM cancel it, so that it leaves."""

    async def run() -> None:
        task = asyncio.ensure_future(main)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
