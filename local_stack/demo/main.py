"""The demo people, as a process of their own: ``python -m local_stack.demo.main --stack FILE --people N``.

Knows the order of work: people into the graph, then lives on the wire until SIGTERM, then a leave from everybody.
How people live is `demo_life`, what they do on the wire `demo_people`.
"""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from graph_service.errors import FriendsError
from graph_service.graph.driver import connect
from graph_service.model.sharding import ShardMap
from local_stack.demo.clients import DemoClient, DemoConnections, LightClient, SdkClient
from local_stack.demo.graph import DemoGraph
from local_stack.demo.schedule import Act, Habits, Schedule, Step
from local_stack.engines.data_folder import write_private
from local_stack.engines.ports import LOOPBACK
from pubnub_bridge.client.api import ApiClient
from pubnub_bridge.client.connection_info import ConnectionInfo, read_connection_info

SDK_CLIENTS = 3
"""How many use PubNub's own SDK."""
SPARE_CONNECTIONS = 64
"""Connections beside the open polls: heartbeats, leaves."""
LEAVE_TIMEOUT_SECONDS = 8.0
"""Seconds for all leaves at the end."""
REPORT_INTERVAL_SECONDS = 60.0
MIN_DEBOUNCE_SECONDS = 0.2
"""Seconds: without a hold flaps are told, however short."""
LOAD_MARKER = "demo-load-under-way"
DEMO_FILE = "demo.json"
"""Beside the stack file: whom a newcomer can be."""


class DemoRunner:
    """Everybody who is present, by what `Schedule` says."""

    def __init__(self, life: Schedule, wire: DemoConnections) -> None:
        self.counted: Counter[Act] = Counter()
        self._life = life
        self._wire = wire
        self._clients: dict[str, tuple[DemoClient, asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._officials: set[str] = set()

    async def run(self) -> None:
        """Until cancelled; then everybody leaves."""
        self._life.start(time.monotonic())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._live(), name="life")
                tasks.create_task(self._heartbeats(), name="heartbeats")
                tasks.create_task(self._report(), name="report")
        finally:
            for person in list(self._clients):
                self._end(person, sends_leave=True)
            if self._leaving:
                await asyncio.wait(self._leaving, timeout=LEAVE_TIMEOUT_SECONDS)

    async def _live(self) -> None:
        while True:
            for step in self._life.due(time.monotonic()):
                self._take(step)
            wait = self._life.next_at - time.monotonic()
            await asyncio.sleep(min(max(wait, 0.01), 1.0))

    def _take(self, step: Step) -> None:
        self.counted[step.act] += 1
        if step.act in {Act.COME, Act.BACK}:
            self._come(step.user)
        else:
            self._end(step.user, sends_leave=step.act is not Act.VANISH)

    def _come(self, user: str) -> None:
        if len(self._officials) < SDK_CLIENTS:
            self._officials.add(user)
        person = (SdkClient if user in self._officials else LightClient)(self._wire, user)
        self._clients[user] = person, asyncio.create_task(person.run(), name=user)

    def _end(self, user: str, sends_leave: bool) -> None:
        person, task = self._clients.pop(user)
        person.sends_leave = sends_leave
        task.cancel()
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            due = [
                person.send_heartbeat() for person, _ in self._clients.values() if person.heartbeat_at <= now
            ]
            await asyncio.gather(*due)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_SECONDS)
            told = [*self.counted.items(), *self._wire.counted.items()]
            acts = ", ".join(f"{count:,} {name}" for name, count in told)
            typer.echo(f"{len(self._clients):,} present; so far: {acts}")


async def play(stack: Path, count: int, minutes: float) -> None:
    """The whole demo, until cancelled.

    Raises:
        SetupError: the stack file is not one. GraphUnavailable: the graph went away while people were loaded.
    """
    where = read_connection_info(stack)
    if not local(where.origin):
        # Its people would be hundreds of connections and thousands of messages of somebody's account.
        typer.echo(f"the demo people stay at home: {where.origin} is not a local origin")
        await asyncio.Event().wait()
    people, newcomers = await _people(where, stack, count)
    _write_demo_file(stack, people, newcomers)
    habits = Habits(
        median=minutes * 60,
        debounce=max(
            min(where.settings.debounce_online_seconds, where.settings.debounce_leave_seconds),
            MIN_DEBOUNCE_SECONDS,
        ),
    )
    life = Schedule([one for one in people if one not in newcomers], habits, random.Random(time.time_ns()))
    async with ApiClient.open(where) as api, _connections(life.max_present + SPARE_CONNECTIONS) as http:
        await DemoRunner(life, DemoConnections(http, api)).run()


def local(origin: str) -> bool:
    """Whether an origin is on this machine."""
    host = origin.rpartition(":")[0] or origin
    return host in {LOOPBACK, "localhost", "[::1]"}


async def _people(where: ConnectionInfo, stack: Path, count: int) -> tuple[list[str], list[str]]:
    settings = where.settings
    shards = ShardMap(settings.partitions, settings.presence_shards, settings.presence_shard_levels)
    async with connect(settings) as graph:
        demo = DemoGraph(graph, shards, stack.with_name(LOAD_MARKER))
        began = time.monotonic()
        people = await demo.people(count, typer.echo)
        typer.echo(f"{len(people):,} people ready after {time.monotonic() - began:.1f} s")
        return people, await demo.newcomers(people)


def _write_demo_file(stack: Path, people: Sequence[str], newcomers: Sequence[str]) -> None:
    """Whom the reader can be, in the log and in a file."""
    write_private(stack.with_name(DEMO_FILE), {"people": len(people), "newcomers": list(newcomers)})
    if len(newcomers) > 1:
        me, friend = newcomers[:2]
        typer.echo(f"be one of them: {', '.join(newcomers)}; the demo leaves these alone")
        typer.echo(f"friends-presence watch {me}, and in another terminal: friends-presence join {friend}")


@asynccontextmanager
async def _connections(limit: int) -> AsyncIterator[aiohttp.ClientSession]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < limit + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=60)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield http


async def _until_stopped(stack: Path, count: int, minutes: float) -> None:
    task = asyncio.ensure_future(play(stack, count, minutes))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        typer.echo("everybody has left")


def main(
    stack: Annotated[Path, typer.Option(help="The file that `up --json` wrote.")],
    people: Annotated[int, typer.Option(min=1, help="How many there are; three in ten are present.")] = 3000,
    minutes: Annotated[
        float, typer.Option(min=0.05, envvar="DEMO_MINUTES", help="Half of the visits are shorter.")
    ] = 20.0,
) -> None:
    """Demo people on a running stack, until Ctrl-C or SIGTERM."""
    try:
        asyncio.run(_until_stopped(stack, people, minutes))
    except FriendsError as problem:
        typer.echo(f"error ({problem.code}): {problem}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
