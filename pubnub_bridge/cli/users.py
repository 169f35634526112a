"""The commands watch and join: be one user in a terminal."""

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
    app.command("watch", rich_help_panel=PANEL)(watch_command)
    app.command("join", rich_help_panel=PANEL)(join_command)


def watch_command(
    user: User,
    stack: Stack = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Be USER and watch their inbox live: which friends come online and go offline. Ctrl-C leaves."""
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
    with console.status(f"{user} · connecting", refresh_per_second=4) as status:
        async with ApiClient.open(where) as api:
            await _raise_first(
                Watcher(api=api, user=user, screen=Lines(console=console, user=user, status=status)).run()
            )


async def _watch_json(where: ConnectionInfo, user: str) -> None:
    async with ApiClient.open(where) as api:
        screen = JsonLines(user=user, write=lambda line: print(line, flush=True))  # noqa: T201
        await _raise_first(Watcher(api=api, user=user, screen=screen).run())


async def _raise_first(run: Coroutine[Any, Any, None]) -> None:
    """Run it; of a task group's errors the first is raised alone."""
    try:
        await run
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _join(where: ConnectionInfo, user: str, seconds: float | None) -> None:
    async with ApiClient.open(where) as api:
        try:
            async with present(api, user) as device, asyncio.timeout(seconds):
                await _print_events(device, user, where)
        except TimeoutError:
            pass
        finally:
            typer.echo(f"{user} has left")


async def _print_events(device: Device, user: str, where: ConnectionInfo) -> None:
    seconds = where.settings.debounce_online_seconds
    async for event in device.listen():
        match event:
            case Connected():
                typer.echo(
                    f"{user} is present; friends are notified after the debounce time "
                    f"({seconds:g} s unless set otherwise)"
                )
            case Trouble(reason):
                typer.echo(f"not connected: {reason}", err=True)


def _until_signal(main: Coroutine[Any, Any, None]) -> None:
    """Run it until it ends; Ctrl-C and SIGTERM cancel it, so that the user leaves."""

    async def run() -> None:
        task = asyncio.ensure_future(main)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
