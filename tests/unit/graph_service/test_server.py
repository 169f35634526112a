"""Processes, ports and signals, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.serving import SECRET

ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def process(**options: str) -> AsyncIterator[Process]:
    """The API in a separate process; killed at the end if it still runs."""
    env = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "development",
        "JWT_SECRET": SECRET,
        "PORT": "0",
    } | options
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.api_process", cwd=ROOT, env=env, stdout=PIPE, stderr=PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def listening(started: Process) -> tuple[int, str]:
    """Process id and address of the next worker that says it listens."""
    assert started.stdout
    async with asyncio.timeout(20):
        pid, url = (await started.stdout.readline()).decode().split()
    return int(pid), url


async def exited(started: Process) -> tuple[int, str]:
    """Exit code, and what was written to stderr."""
    async with asyncio.timeout(20):
        _, err = await started.communicate()
    assert started.returncode is not None
    return started.returncode, err.decode()


async def get(url: str) -> tuple[int, str]:
    """Status and text, on a new connection, so that any worker may get it."""
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status, await answer.text()


async def test_a_stop_is_clean_and_quick() -> None:
    """SIGTERM: exit code 0, nothing on stderr but the log."""
    async with process() as started:
        pid, url = await listening(started)
        assert pid == started.pid
        assert (await get(f"{url}/livez"))[0] == 200
        started.terminate()
        code, err = await exited(started)
    assert code == 0
    assert "Traceback" not in err


async def test_a_draining_process_serves_but_is_not_ready() -> None:
    """DRAIN_SECONDS gives the load balancer time; a second signal ends it."""
    async with process(DRAIN_SECONDS="60") as started:
        _, url = await listening(started)
        started.terminate()
        for _ in range(250):
            if (await get(f"{url}/readyz"))[0] == 503:
                break
            await asyncio.sleep(0.02)
        assert (await get(f"{url}/readyz"))[0] == 503
        assert (await get(f"{url}/livez"))[0] == 200
        started.terminate()
        assert (await exited(started))[0] == 0


async def test_a_taken_port_is_named_with_what_to_do() -> None:
    """By one process and by several, which could otherwise share the port silently."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            async with process(PORT=port, WORKERS=workers) as started:
                code, err = await exited(started)
            assert code == 2
            assert f"PORT {port} on 127.0.0.1 cannot be had" in err
            assert "Set PORT" in err


async def test_workers_share_one_port_and_one_count_and_a_dead_one_is_replaced() -> None:
    """kill -9 of one: the port stays, the counts stay, another takes its place; SIGTERM stops all."""
    async with process(WORKERS="2") as started:
        (first, url), (second, same) = await listening(started), await listening(started)
        assert url == same
        assert len({first, second, started.pid}) == 3
        for _ in range(40):
            assert (await get(f"{url}/livez"))[0] == 200
        text = (await get(f"{url}/metrics"))[1]
        assert 'friends_http_request_seconds_count{method="GET",route="/livez",status="200"} 40.0' in text
        os.kill(first, signal.SIGKILL)
        third, same = await listening(started)
        assert same == url
        assert third not in {first, second}
        assert (await get(f"{url}/livez"))[0] == 200
        started.terminate()
        code, err = await exited(started)
    assert code == 0
    assert "prefork.worker.died" in err


async def test_workers_that_cannot_start_are_given_up() -> None:
    """Exit code 1 and the reason, not an endless loop."""
    async with process(WORKERS="2", DIE="1") as started:
        code, err = await exited(started)
    assert code == 1
    assert "this worker fails on purpose. Unset DIE" in err


async def test_a_burst_of_clients_connects_though_the_process_is_busy() -> None:
    """No client has to retry its connection, which takes seconds: here while the process is blocked."""
    async with process() as started:
        pid, url = await listening(started)
        host, port = url.removeprefix("http://").split(":")
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                opened = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(400)))
        finally:
            os.kill(pid, signal.SIGCONT)
        for _, writer in opened:
            writer.close()
        assert (await get(f"{url}/livez"))[0] == 200
