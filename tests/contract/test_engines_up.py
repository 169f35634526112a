"""``friends-presence up`` as typed in a terminal: its files, its output, its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Servers

pytestmark = pytest.mark.timeout(180)
MEMBERS = {
    "api": str,
    "origin": str,
    "publishKey": str,
    "subscribeKey": str,
    "secretKey": str,
    "jwtSecret": str,
    "jwtAudience": str,
    "jwtIssuer": str,
    "serviceKey": str,
    "consoleKey": str,
    "neo4j": dict,
    "redis": str,
}


class Up:
    """One run of the command."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path, file: Path) -> None:
        self.process, self.data, self.file = process, data, file

    async def ready(self) -> dict[str, Any]:
        """Wait for the file and return its content."""
        while not self.file.exists():
            assert self.process.returncode is None, await self.said()
            await asyncio.sleep(0.05)
        return json.loads(self.file.read_text())  # type: ignore[no-any-return]

    def pid(self, name: str) -> int:
        """The process id of one part."""
        servers = json.loads((self.data / "engines.json").read_text())["servers"]
        return next(int(server["pid"]) for server in servers if server["name"] == name)

    async def ended(self, number: signal.Signals | None = None) -> int:
        """Send a signal and wait for the end."""
        if number:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)

    async def said(self) -> str:
        """What it printed."""
        assert self.process.stderr
        return (await self.process.stderr.read()).decode()


@asynccontextmanager
async def up(servers: Servers, data: Path, **environ: str) -> AsyncIterator[Up]:
    """Run it with the databases of this test run, in a separate Valkey database."""
    file = data / "reach.json"
    command = ("up", "--no-demo", "--data", str(data), "--json", str(file))
    reach = {
        "NEO4J_URI": servers.neo4j_uri,
        "NEO4J_USER": servers.neo4j_user,
        "NEO4J_PASSWORD": servers.neo4j_password,
        "REDIS_URL": servers.redis_url.rpartition("/")[0] + "/9",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local_stack",
        *command,
        env={**os.environ, **reach, **environ},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Up(process, data, file)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def test_the_file_exists_while_everything_is_ready(servers: Servers, tmp_path: Path) -> None:
    """It has the documented members and mode 0600; a stale one is removed first."""
    (tmp_path / "reach.json").write_text("{}")
    stale = (tmp_path / "reach.json").stat().st_ino
    async with up(servers, tmp_path) as run:
        while run.file.exists() and run.file.stat().st_ino == stale:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        reach = await run.ready()
        assert {name: type(value) for name, value in reach.items()} == MEMBERS
        assert set(reach["neo4j"]) == {"uri", "user", "password"}
        assert stat.S_IMODE(run.file.stat().st_mode) == 0o600
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{reach['api']}/readyz") as answer:
                assert answer.status == 200
            async with session.get(f"http://{reach['origin']}/time/0") as answer:
                assert answer.status == 200
        assert await run.ended(signal.SIGINT) == 0
        assert not run.file.exists()
        assert not (tmp_path / "engines.json").exists()


@pytest.mark.parametrize("name", ["origin", "friends-presence"])
async def test_a_part_that_dies_stops_everything_and_is_named(
    servers: Servers, tmp_path: Path, name: str
) -> None:
    """Exit code other than 0, the name on stderr, nothing left running."""
    async with up(servers, tmp_path) as run:
        await run.ready()
        pids = [run.pid("origin"), run.pid("friends-presence")]
        os.kill(run.pid(name), signal.SIGKILL)
        assert await run.ended() != 0
        assert f"{name} ended unexpectedly (exit code 137)" in " ".join((await run.said()).split())
        assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)  # noqa: ASYNC240, PTH110 - a moment


async def test_a_port_that_is_taken_is_reported(servers: Servers, tmp_path: Path) -> None:
    """Before the service is started, and nothing keeps running."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, up(servers, tmp_path, PORT=str(port)) as run:
        assert await run.ended() == 1
        assert f"Port {port}" in await run.said()


async def test_a_second_up_on_the_same_data_is_refused(servers: Servers, tmp_path: Path) -> None:
    """At once, with the id of the process that runs there."""
    async with up(servers, tmp_path) as first:
        await first.ready()
        began = time.monotonic()
        async with up(servers, tmp_path) as second:
            assert await second.ended() == 1
            assert f"already running (process {first.process.pid}" in " ".join((await second.said()).split())
        assert time.monotonic() - began < 30
        assert first.file.exists()
