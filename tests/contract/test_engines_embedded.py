"""The real engines on a data folder: their configuration, what survives a crash, and what any kind of end leaves."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from graph_service.errors import SetupError
from graph_service.graph.driver import Graph, GraphRefused, connect
from graph_service.settings import Settings
from local_stack.engines import neo4j_server
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.launcher import Engines, Neo4jAddress, Options, running
from local_stack.errors import NotReady, OtherServer, Unreachable
from tests.conftest import Servers
from tests.support.embedded import EMBEDDED

SMALL = Options(heap=512, page_cache=64)
pytestmark = pytest.mark.timeout(300)  # several starts of a server, also on a slow machine


@asynccontextmanager
async def graph_at(neo4j: Neo4jAddress) -> AsyncIterator[Graph]:
    """A connection to one of the engines under test."""
    settings = Settings(
        environment="development",
        neo4j_uri=neo4j.uri,
        neo4j_user=neo4j.user,
        neo4j_password=neo4j.password,  # type: ignore[arg-type]
    )
    async with connect(settings) as graph:
        yield graph


@asynccontextmanager
async def queue_at(url: str) -> AsyncIterator[redis.Redis]:
    """A connection to one of the queues under test."""
    async with redis.Redis.from_url(url, decode_responses=True) as client:
        yield client


async def remember(engines: Engines, word: str) -> None:
    """Write a word into both."""
    async with graph_at(engines.neo4j) as graph, queue_at(engines.redis_url) as queue:
        await graph.statement("MERGE (w:Word {text: $word})", word=word)
        await queue.xadd("words", {"word": word})


async def remembered(engines: Engines) -> tuple[list[str], list[str]]:
    """The words in the graph and in the queue."""
    async with graph_at(engines.neo4j) as graph, queue_at(engines.redis_url) as queue:
        rows = await graph.statement("MATCH (w:Word) RETURN w.text AS word ORDER BY word")
        entries: Any = await queue.xrange("words")
    return [row["word"] for row in rows], sorted(entry["word"] for _, entry in entries)


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not count."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


PARENT = """
import asyncio, os, sys
from pathlib import Path
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.launcher import Options, running
from tests.contract.test_engines_embedded import SMALL, remember
from tests.support.embedded import EMBEDDED
async def main():
    async with running(Path(sys.argv[1]), SMALL, EMBEDDED) as engines:
        await remember(engines, "before the crash")
        print(*(server.pid for server in engines.servers), flush=True)
        await asyncio.sleep(120)
asyncio.run(main())
"""


@pytest.mark.faults
async def test_engines_end_with_a_crashed_parent_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    """SIGKILL to the parent, then to both engines; after each, everything acknowledged is there."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    parent.kill()
    await parent.wait()
    async with running(tmp_path, SMALL, EMBEDDED) as engines:
        assert not any(lives(pid) for pid in pids)
        assert await remembered(engines) == (["before the crash"],) * 2
        await remember(engines, "before the kill")
        # The append-only file is synced every second (appendfsync everysec): killing the process loses nothing, since
        # the operating system has the data.
        for server in engines.servers:
            await server.kill()
            await server.start()
        assert await remembered(engines) == (["before the crash", "before the kill"],) * 2


async def test_a_clean_stop_and_a_second_start(tmp_path: Path) -> None:
    """Same password, same data, possibly other ports; nothing listens in between."""
    async with running(tmp_path, SMALL, EMBEDDED) as engines:
        await remember(engines, "first")
        pids = [server.pid for server in engines.servers]
    assert not any(lives(pid) for pid in pids)
    password = engines.neo4j.password
    async with running(tmp_path, SMALL, EMBEDDED) as engines:
        assert engines.neo4j.password == password
        assert engines.neo4j.agent.startswith("Neo4j/5.26.")
        assert await remembered(engines) == (["first"],) * 2
        await private(tmp_path, password)
        await obeys(engines)


async def private(data: Path, password: str) -> None:
    """The password is not in the process list, and only in files with mode 0600."""
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]  # noqa: ASYNC240
    assert not any(password.encode() in command for command in commands)
    for path in (data / "secrets.json", data / "valkey" / "valkey.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (data / "neo4j" / "run" / "password.args").exists()


async def obeys(engines: Engines) -> None:
    """The engines report the configuration that was written."""
    async with graph_at(engines.neo4j) as graph, queue_at(engines.redis_url) as queue:
        rows = await graph.statement("SHOW SETTINGS YIELD name, value RETURN name, value")
        settings = {row["name"]: row["value"] for row in rows}
        wanted = await queue.config_get("appendonly", "maxmemory-policy", "bind")
    assert settings["dbms.usage_report.enabled"] == "false"
    assert settings["server.http.enabled"] == "false"
    assert settings["server.bolt.listen_address"].startswith("127.0.0.1:")
    assert settings["server.memory.pagecache.size"] == "64.00MiB"
    assert wanted == {"appendonly": "yes", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}


async def test_a_server_that_refuses_its_configuration_is_reported_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strict validation names the key; the message contains it, and nothing keeps running."""
    real = neo4j_server.configuration
    DataFolder(tmp_path).secret("neo4jPassword")
    (tmp_path / "neo4j" / "data" / "databases").mkdir(parents=True)  # as after an earlier run
    monkeypatch.setattr(
        neo4j_server,
        "configuration",
        lambda port, memory: real(port, memory) | {"server.blot.enabled": "true"},
    )
    with pytest.raises(NotReady, match=r"(?s)Neo4j was started and ended.*server\.blot\.enabled"):
        async with running(tmp_path, SMALL, EMBEDDED):
            pytest.fail("it must not start")


def given(servers: Servers, **other: str) -> dict[str, str]:
    """An environment that names the engines of this test run, except `other`."""
    return {
        "NEO4J_URI": servers.neo4j_uri,
        "NEO4J_USER": servers.neo4j_user,
        "NEO4J_PASSWORD": servers.neo4j_password,
        "REDIS_URL": servers.redis_url,
    } | other


async def test_engines_by_address_are_used_as_they_are(servers: Servers, tmp_path: Path) -> None:
    """Nothing is started or written."""
    async with running(tmp_path / "data", environ=given(servers)) as engines:
        assert (engines.neo4j.uri, engines.redis_url) == (servers.neo4j_uri, servers.redis_url)
        assert engines.servers == []
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        ({"NEO4J_URI": "bolt://127.0.0.1:1"}, Unreachable, r"NEO4J_URI names bolt://127\.0\.0\.1:1"),
        (
            {"REDIS_URL": "redis://:secret@127.0.0.1:1/0"},
            Unreachable,
            r"REDIS_URL names redis://127\.0\.0\.1:1/0",
        ),
        ({"NEO4J_PASSWORD": "wrong"}, GraphRefused, "refuses user 'neo4j'"),
        ({"REDIS_URL": "{neo4j}"}, OtherServer, "REDIS_URL.*Neo4j"),
        ({"NEO4J_URI": "{redis}"}, OtherServer, "NEO4J_URI.*Valkey"),
        ({"NEO4J_URI": "{http}"}, OtherServer, "NEO4J_URI.*HTTP"),
    ],
)
async def test_another_server_at_an_address_is_reported(
    servers: Servers, tmp_path: Path, other: dict[str, str], error: type[SetupError], words: str
) -> None:
    """The message has the variable, the address and what responds there, but no password."""
    async with http_port() as http:
        places = {
            "{neo4j}": "redis://" + servers.neo4j_uri.partition("://")[2],
            "{redis}": "bolt://" + servers.redis_url.rpartition("@")[2].partition("/")[0],
            "{http}": f"bolt://127.0.0.1:{http}",
        }
        environ = given(servers, **{name: places.get(value, value) for name, value in other.items()})
        with pytest.raises(error, match=words) as caught:
            async with running(tmp_path, environ=environ):
                pytest.fail("it must not start")
    assert "secret" not in str(caught.value)


@asynccontextmanager
async def http_port() -> AsyncIterator[int]:
    """A web server, which is what such a port usually turns out to be."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_the_commands_work_from_another_terminal(tmp_path: Path) -> None:
    """Started in the background, found by status and env, stopped by down; the addresses of env work."""
    assert "ready, in the background" in await command("up", "--detach", "--heap", "512", data=tmp_path)
    assert "Neo4j" in await command("status", data=tmp_path)
    exports = dict(
        line.removeprefix("export ").split("=", 1)
        for line in (await command("env", data=tmp_path)).splitlines()
    )
    async with running(tmp_path / "other", environ=exports) as engines:
        assert engines.servers == []
    assert "Started." in await command("logs", data=tmp_path)
    assert "Stopped process" in await command("down", data=tmp_path)
    assert "Nothing runs" in await command("down", data=tmp_path)


async def command(*words: str, data: Path) -> str:
    """Run an `engines` command, which must succeed, and return its output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local_stack", "engines", *words, "--data", str(data)),
        env=EMBEDDED,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()
