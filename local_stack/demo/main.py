"""The demo users as a separate process: ``python -m local_stack.demo.main --stack FILE --people N``.

Loads users into the graph, then runs their clients on a schedule until SIGTERM, then every client sends its leave.
`local_stack.demo.schedule` decides who is present when, `local_stack.demo.clients` talks to PubNub. It runs only
against an origin on this machine.
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
"""How many clients use PubNub's official SDK; the others are light ones."""
SPARE_CONNECTIONS = 64
"""Connections in addition to the open polls: heartbeats, leaves."""
LEAVE_TIMEOUT_SECONDS = 8.0
"""For all leaves at the end together."""
REPORT_INTERVAL_SECONDS = 60.0
MIN_DEBOUNCE_SECONDS = 0.2
"""Without a debounce every flap is a change, so flaps stay below this."""
LOAD_MARKER = "demo-load-under-way"
DEMO_FILE = "demo.json"
"""Written next to the stack file: the users whom a reader can be."""


class DemoRunner:
    """Runs a client for every user who is present by the schedule."""

    def __init__(self, schedule: Schedule, connections: DemoConnections) -> None:
        self.counted: Counter[Act] = Counter()
        self._schedule = schedule
        self._connections = connections
        self._clients: dict[str, tuple[DemoClient, asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._sdk_users: set[str] = set()

    async def run(self) -> None:
        """Run until cancelled; then every client sends its leave."""
        self._schedule.start(time.monotonic())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_schedule(), name="schedule")
                tasks.create_task(self._heartbeats(), name="heartbeats")
                tasks.create_task(self._report(), name="report")
        finally:
            for user in list(self._clients):
                self._disconnect(user, sends_leave=True)
            if self._leaving:
                await asyncio.wait(self._leaving, timeout=LEAVE_TIMEOUT_SECONDS)

    async def _follow_schedule(self) -> None:
        while True:
            for step in self._schedule.due(time.monotonic()):
                self._apply(step)
            wait = self._schedule.next_at - time.monotonic()
            await asyncio.sleep(min(max(wait, 0.01), 1.0))

    def _apply(self, step: Step) -> None:
        self.counted[step.act] += 1
        if step.act in {Act.COME, Act.BACK}:
            self._connect(step.user)
        else:
            self._disconnect(step.user, sends_leave=step.act is not Act.VANISH)

    def _connect(self, user: str) -> None:
        if len(self._sdk_users) < SDK_CLIENTS:
            self._sdk_users.add(user)
        client = (SdkClient if user in self._sdk_users else LightClient)(self._connections, user)
        self._clients[user] = client, asyncio.create_task(client.run(), name=user)

    def _disconnect(self, user: str, sends_leave: bool) -> None:
        client, task = self._clients.pop(user)
        client.sends_leave = sends_leave
        task.cancel()
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            due = [
                client.send_heartbeat() for client, _ in self._clients.values() if client.heartbeat_at <= now
            ]
            await asyncio.gather(*due)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_SECONDS)
            counts = [*self.counted.items(), *self._connections.counted.items()]
            text = ", ".join(f"{count:,} {name}" for name, count in counts)
            typer.echo(f"{len(self._clients):,} present; so far: {text}")


async def play(stack: Path, count: int, minutes: float) -> None:
    """Run the whole demo until cancelled; `minutes` is the median length of a visit.

    Raises:
        SetupError: the stack file cannot be used. GraphUnavailable: the graph stopped while users were loaded.
    """
    where = read_connection_info(stack)
    if not local(where.origin):
        # Against a real keyset this would open hundreds of connections and send thousands of messages at someone's cost.
        typer.echo(f"no demo people: {where.origin} is not a local origin")
        await asyncio.Event().wait()
    users, reserved = await _load_users(where, stack, count)
    _write_demo_file(stack, users, reserved)
    habits = Habits(
        median=minutes * 60,
        debounce=max(
            min(where.settings.debounce_online_seconds, where.settings.debounce_leave_seconds),
            MIN_DEBOUNCE_SECONDS,
        ),
    )
    players = [user for user in users if user not in reserved]
    schedule = Schedule(users=players, habits=habits, rng=random.Random(time.time_ns()))
    async with ApiClient.open(where) as api, _http_client(schedule.max_present + SPARE_CONNECTIONS) as http:
        await DemoRunner(schedule, DemoConnections(http, api)).run()


def local(origin: str) -> bool:
    """Whether an origin is on this machine."""
    host = origin.rpartition(":")[0] or origin
    return host in {LOOPBACK, "localhost", "[::1]"}


async def _load_users(where: ConnectionInfo, stack: Path, count: int) -> tuple[list[str], list[str]]:
    settings = where.settings
    shards = ShardMap(settings.partitions, settings.presence_shards, settings.presence_shard_levels)
    async with connect(settings) as graph:
        demo = DemoGraph(graph=graph, shards=shards, marker=stack.with_name(LOAD_MARKER))
        began = time.monotonic()
        people = await demo.people(count, typer.echo)
        typer.echo(f"{len(people):,} people ready after {time.monotonic() - began:.1f} s")
        return people, await demo.reserved_users(people)


def _write_demo_file(stack: Path, people: Sequence[str], newcomers: Sequence[str]) -> None:
    """Write the users whom a reader can be to a file and to the log."""
    write_private(stack.with_name(DEMO_FILE), {"people": len(people), "newcomers": list(newcomers)})
    if len(newcomers) > 1:
        me, friend = newcomers[:2]
        typer.echo(f"be one of them: {', '.join(newcomers)}; the demo leaves these alone")
        typer.echo(f"friends-presence watch {me}, and in another terminal: friends-presence join {friend}")


@asynccontextmanager
async def _http_client(limit: int) -> AsyncIterator[aiohttp.ClientSession]:
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
    people: Annotated[int, typer.Option(min=1, help="Number of users; three in ten are present.")] = 3000,
    minutes: Annotated[
        float, typer.Option(min=0.05, envvar="DEMO_MINUTES", help="Median length of a visit.")
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
