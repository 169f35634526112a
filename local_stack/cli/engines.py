"""The commands ``engines up|status|down|logs|env|lock``: Neo4j and Valkey of one data folder.

They read the data folder's files; `local_stack.engines` starts and stops the servers.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from local_stack.engines.data_folder import DataFolder, default_data
from local_stack.engines.launcher import Options, running
from local_stack.engines.neo4j_server import USER, Neo4jEngine
from local_stack.engines.process import tail
from local_stack.engines.valkey_server import ValkeyEngine
from local_stack.errors import NotReady
from local_stack.jars import cache, lockfile
from local_stack.stack import foreground
from local_stack.stack.up import first_death

app = typer.Typer(help="Neo4j and Valkey on this machine.", no_args_is_help=True)
console = Console(stderr=True)

NOT_RUNNING = 3
"""Exit code of `status` when nothing runs (LSB convention for service scripts)."""

Data = Annotated[Path | None, typer.Option(help="Folder of the data; .data by default.", show_default=False)]
Neo4jPort = Annotated[int, typer.Option(help="Port of Neo4j (Bolt); 0 takes a free one.")]
RedisPort = Annotated[int, typer.Option(help="Port of Valkey; 0 takes a free one.")]
Heap = Annotated[int | None, typer.Option(help="Neo4j's heap, MiB (NEO4J_HEAP).", show_default=False)]
PageCache = Annotated[
    int | None, typer.Option(help="Neo4j's page cache, MiB (NEO4J_PAGE_CACHE).", show_default=False)
]

_began = time.monotonic()


def report(text: str) -> None:
    """Print one step with the seconds since the command began."""
    console.print(f"[dim]{time.monotonic() - _began:6.1f} s[/dim]  {text}", highlight=False, soft_wrap=True)


@app.command("up")
def engines_up(
    data: Data = None,
    neo4j_port: Neo4jPort = 0,
    redis_port: RedisPort = 0,
    heap: Heap = None,
    page_cache: PageCache = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
) -> None:
    """Start Neo4j and Valkey in the foreground; Ctrl-C stops them."""
    options = Options(neo4j_port=neo4j_port, redis_port=redis_port, heap=heap, page_cache=page_cache)
    start(data or default_data(), options, detach=detach)


def start(data: Path, options: Options, *, detach: bool) -> None:
    """Run the engines in this process until a signal, or in a background process."""
    if detach:
        _detached(DataFolder.at(data))
    else:
        foreground.run(_stay(data, options), report)


async def _stay(data: Path, options: Options) -> None:
    report(f"engines on {data}")
    async with running(data, options) as engines:
        report(f"ready: {engines.neo4j.agent} at {engines.neo4j.uri}")
        report(f"in another terminal: friends-presence engines status|env|logs|down --data {data}")
        await first_death(engines)


def _detached(folder: DataFolder) -> None:
    """Run the same command without --detach in a new session, and return once it is ready."""
    log = folder.root / "logs" / "engines.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [word for word in sys.argv[1:] if word not in {"--detach", "-d"}]
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "local_stack", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    while True:  # the child enforces the start timeout
        if child.poll() is not None:
            reason = f"ended with exit code {child.returncode}"
            raise NotReady(engine="engines up", reason=reason, todo="See its log.", log=log, tail=tail(log))
        state = folder.state()
        if state.get("pid") == child.pid and state.get("ready"):
            report(f"ready, in the background (process {child.pid})")
            return
        time.sleep(0.1)


@app.command()
def status(data: Data = None) -> None:
    """Show what runs on a data folder. Exit code 3 when nothing does."""
    folder = DataFolder.at(data or default_data())
    pid = folder.running_pid()
    if not pid:
        typer.echo(f"Nothing runs on {folder.root}.")
        raise typer.Exit(NOT_RUNNING)
    state = folder.state()
    table = Table("name", "address", "process", "log", title=f"{folder.root}, run by process {pid}")
    for server in state.get("servers", []):
        table.add_row(server["name"], server["address"], str(server["pid"]), server["log"])
    Console().print(table if state.get("ready") else "Starting.")


@app.command()
def down(data: Data = None) -> None:
    """Stop what runs on a data folder and wait until it has ended."""
    folder = DataFolder.at(data or default_data())
    pid = asyncio.run(folder.stop_running())
    typer.echo(f"Stopped process {pid}." if pid else f"Nothing runs on {folder.root}.")


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="neo4j, valkey, origin, service or demo.")] = "neo4j",
    data: Data = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until Ctrl-C.")] = False,
) -> None:
    """Show the last lines of a log."""
    folder = DataFolder.at(data or default_data())
    own = {"neo4j": Neo4jEngine(folder).log, "valkey": ValkeyEngine(folder).log}
    path = own.get(name, folder.root / "logs" / f"{name}.log")
    if not path.exists():
        raise typer.BadParameter(f"{path} does not exist", param_hint="NAME or --data")
    typer.echo(tail(path, lines))
    if follow:
        _follow(path)


def _follow(path: Path) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(0, 2)
        while True:
            if text := file.read():
                typer.echo(text, nl=False)
            else:
                time.sleep(0.2)


@app.command()
def env(data: Data = None) -> None:
    """Print the running engines' addresses and passwords as shell exports: eval "$(friends-presence engines env)"."""
    folder = DataFolder.at(data or default_data())
    addresses = {server["name"]: server["address"] for server in folder.state().get("servers", [])}
    if not folder.running_pid():
        raise typer.BadParameter(f"Nothing runs on {folder.root}", param_hint="--data")
    for variable, value in _exports(folder, addresses).items():
        typer.echo(f"export {variable}={shlex.quote(value)}")


def _exports(folder: DataFolder, addresses: dict[str, str]) -> dict[str, Any]:
    found = {}
    if bolt := addresses.get(Neo4jEngine.name):
        found = {
            "NEO4J_URI": f"bolt://{bolt}",
            "NEO4J_USER": USER,
            "NEO4J_PASSWORD": Neo4jEngine(folder).password,
        }
    if queue := addresses.get(ValkeyEngine.name):
        found["REDIS_URL"] = ValkeyEngine(folder).url(int(queue.rpartition(":")[2]))
    return found


@app.command()
def lock(
    version: Annotated[str, typer.Option(help="Neo4j's version.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = lockfile.LOCK_FILE,
) -> None:
    """Write the lock file for another Neo4j version: resolve, fetch and hash (SHA-256) every jar."""
    from local_stack.jars.resolve import resolve  # noqa: PLC0415 - the resolver takes half a second to import

    jars = resolve(version, cache.jars_folder(), report)
    out.write_text(lockfile.dump(jars), encoding="utf-8")
    report(f"{out}: {len(jars)} jars, {sum(jar.size for jar in jars) / 1e6:.0f} MB")
