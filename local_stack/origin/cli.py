"""The command ``origin``: options in; serves until it is interrupted."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from local_stack.origin.app import Options, start
from local_stack.origin.settings import KeysetSettings, PresenceSettings
from local_stack.origin.sink import Sink

app = typer.Typer(add_completion=False)


@app.command()
def origin(  # noqa: PLR0917 - the options of a command line
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    publish_key: Annotated[str, typer.Option()] = "demo",
    subscribe_key: Annotated[str, typer.Option()] = "demo",
    secret_key: Annotated[str, typer.Option()] = "sec",  # noqa: S107 - a test double's
    control: Annotated[
        bool, typer.Option(help="Serve /_control/: clock, faults, keysets, counters.")
    ] = False,
    announce_max: Annotated[
        int, typer.Option(help="Occupants above which presence is announced in intervals.")
    ] = 20,
    interval: Annotated[float, typer.Option(help="Seconds between interval events.")] = 10.0,
    deltas: Annotated[bool, typer.Option(help="Interval events name who came and went.")] = True,
    debounce: Annotated[float, typer.Option(help="Seconds a leave waits for a join that undoes it.")] = 0.0,
    implicit_heartbeat: Annotated[bool, typer.Option(help="Subscribing puts a timeout off.")] = True,
    leave_on_close: Annotated[
        bool, typer.Option(help="A connection that ends while it polls leaves.")
    ] = False,
    access_manager: Annotated[bool, typer.Option(help="Refuse calls without a sufficient token.")] = False,
    sink: Annotated[bool, typer.Option(help="Only answer publishes, for measuring publishers.")] = False,
    delay_ms: Annotated[float, typer.Option(help="Delay of each response of the sink.")] = 0.0,
    tls: Annotated[tuple[Path, Path] | None, typer.Option(help="Certificate and key files.")] = None,
) -> None:
    """Serve a local PubNub-compatible origin: a development and test double."""
    presence = PresenceSettings(
        announce_max=announce_max,
        interval_s=interval,
        deltas=deltas,
        debounce_s=debounce,
        implicit_heartbeat=implicit_heartbeat,
        leave_on_close=leave_on_close,
    )
    settings = KeysetSettings(presence=presence, access_manager=access_manager)
    context = _tls(*tls) if tls else None
    options = Options(host, port, publish_key, subscribe_key, secret_key, settings, control, context)
    with suppress(KeyboardInterrupt):
        _runner()(_sink(options, delay_ms) if sink else _serve(options))


async def _serve(options: Options) -> None:
    running = await start(options)
    # As graph_service/concurrency/gc_tuning.py, which the origin must not import: a full collection took 0.5 s.
    gc.freeze()
    gc.set_threshold(5_000, 4, 100)
    typer.echo(f"origin: listening on {running.host}:{running.port}")
    await _interrupted()
    await running.close()


async def _sink(options: Options, delay_ms: float) -> None:
    server = await Sink(delay_ms).serve(options.host, options.port, options.tls)
    typer.echo(f"origin: sink listening on {options.host}:{server.sockets[0].getsockname()[1]}")
    await _interrupted()
    server.close()


async def _interrupted() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """uvloop's runner where it is installed, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.run
    return uvloop.run
