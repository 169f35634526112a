"""The demo users of ``friends-presence up``, and the commands watch and join, as typed in a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from graph_service.graph.driver import connect
from graph_service.settings import load
from pubnub_bridge.client.connection_info import options

pytestmark = pytest.mark.timeout(420)

PEOPLE = 200
DEBOUNCE_SECONDS = 1.0
COMMAND = [sys.executable, "-m", "pubnub_bridge.cli.main"]


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[Path]:
    """``friends-presence up`` with busy demo users; yields the connection file."""
    stack_file = folder / "stack.json"
    hidden = ("NEO4J_URI", "REDIS_URL", "PUBNUB_SUBSCRIBE_KEY")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    environ |= {
        "DEBOUNCE_ONLINE_SECONDS": str(DEBOUNCE_SECONDS),
        "DEBOUNCE_LEAVE_SECONDS": str(DEBOUNCE_SECONDS),
        "DEMO_MINUTES": "0.5",
    }
    wanted = ["up", "--people", str(PEOPLE), "--data", str(folder / "data"), "--json", str(stack_file)]
    with (folder / "up.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*COMMAND, *wanted, env=environ, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(180):
            while not stack_file.exists():
                assert process.returncode is None, (folder / "up.log").read_text()
                await asyncio.sleep(0.2)
        yield stack_file
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 60)


@asynccontextmanager
async def command(*words: str) -> AsyncIterator[Process]:
    """A friends-presence command in another terminal, ended by Ctrl-C."""
    process = await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == 0


async def line(process: Process, wanted: str, seconds: float = 60.0) -> str:
    """The next line that contains `wanted`."""
    assert process.stdout
    async with asyncio.timeout(seconds):
        while read := await process.stdout.readline():
            if wanted in read.decode():
                return read.decode()
    raise AssertionError(f"ended before it said {wanted!r}")


async def event(process: Process, **wanted: Any) -> dict[str, Any]:
    """The next JSON line with these members."""
    while True:
        read: dict[str, Any] = json.loads(await line(process, "{"))
        if wanted.items() <= read.items():
            return read


async def flagged(stack_file: Path, more_than: int) -> int:
    """The number of users online by their flags in the graph, once it is above `more_than`."""
    async with connect(load(**options(stack_file))) as graph, asyncio.timeout(90):
        while (online := ((await graph.row("online_count")) or {})["online"]) <= more_than:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.5)
        assert await graph.row("users_count") == {"people": PEOPLE}
        return int(online)


async def written(log: Path, wanted: str, times: int) -> None:
    """Wait until a log contains `wanted` so many times."""
    async with asyncio.timeout(60):
        while log.read_text().count(wanted) < times:  # noqa: ASYNC110, ASYNC240 - another process
            await asyncio.sleep(0.2)


async def test_demo_users_connect_are_watched_and_are_found_again_by_a_second_start(tmp_path: Path) -> None:
    """They are online by flags; a watcher sees their changes, and a friend who joins; nothing is loaded twice."""
    words, log = tmp_path / "data" / "demo.json", tmp_path / "data" / "logs" / "demo.log"
    async with up(tmp_path) as stack_file:
        assert await flagged(stack_file, 20) < PEOPLE / 2
        me, friend, *_ = json.loads(words.read_text())["newcomers"]
        async with command("watch", me, "--stack", str(stack_file), "--json") as watch:
            sync = await event(watch, kind="sync")
            assert sync["online"] > 15
            assert sync["total"] == PEOPLE - 1
            change = json.loads(await line(watch, "userId"))
            assert change["userId"] not in {me, friend}
            await check_join(stack_file, watch, friend)
    async with up(tmp_path) as stack_file:
        await written(log, "people ready", times=2)
        await flagged(stack_file, 20)
    said = log.read_text()
    assert said.count("generating") == 1
    assert said.count("everybody has left") == 2


async def check_join(stack_file: Path, watch: Process, friend: str) -> None:
    """The watcher is notified of a friend's join after the debounce time, not before, and of the end."""
    async with command("join", friend, "--stack", str(stack_file), "--seconds", "5") as join:
        await line(join, "is present")
        online = await event(watch, kind="online", userId=friend)
        assert online["name"]
        arrived = int(online["eventId"].rpartition("_")[2]) / 1000
        assert datetime.fromisoformat(online["ts"]).timestamp() >= arrived + DEBOUNCE_SECONDS
        assert online["latencyMs"] < 10_000
        await line(join, "has left")
        assert await asyncio.wait_for(join.wait(), 20) == 0
        await event(watch, kind="offline", userId=friend)
