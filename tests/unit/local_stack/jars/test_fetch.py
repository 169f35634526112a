"""Jars are downloaded completely or not at all: verified, resumed, by one process at a time."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from local_stack.errors import CannotDownload, ChecksumMismatch, NoSpace
from local_stack.jars import fetch, jars
from local_stack.jars.lockfile import Jar, Lock

CONTENT = bytes(range(256)) * 1000


def jar_of(content: bytes, artifact: str = "neo4j", sha256: str = "") -> Jar:
    """A jar as read from a lock file."""
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    return Jar(
        group="org.neo4j", artifact=artifact, classifier="", version="1", sha256=sha256, size=len(content)
    )


@dataclass
class Registry:
    """A Maven repository on loopback; each request is recorded with its Range."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    breaks: int = 0
    """Number of next responses to cut in the middle."""
    refuses: int = 0
    """Number of next responses with status 503."""
    ranges: bool = True

    def has(self, jar: Jar, content: bytes) -> Jar:
        self.files[f"/{jar.path}"] = content
        return jar

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A registry's response, or one of the configured failures."""
        asked = request.headers.get("Range", "") if self.ranges else ""
        self.asked.append((request.path, request.headers.get("Range", "")))
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        if (content := self.files.get(request.path)) is None:
            return web.Response(status=404)
        begin = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        response = web.StreamResponse(status=206 if asked else 200)
        response.content_length = len(content) - begin
        await response.prepare(request)
        if self.breaks:
            self.breaks -= 1
            await response.write(content[begin : begin + len(content) // 2])
            if request.transport:
                request.transport.close()
            return response
        await response.write(content[begin:])
        return response


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    """A registry that listens."""
    made = Registry()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_a_fetched_file_is_whole_and_nothing_else_is_left(registry: Registry, tmp_path: Path) -> None:
    """The file has its name, the partial file is gone, and every byte was reported."""
    jar, seen = registry.has(jar_of(CONTENT), CONTENT), list[int]()
    await fetch.fetch([jar], fetch.Source(registry.url, tmp_path, seen.append))
    assert (tmp_path / jar.path).read_bytes() == CONTENT
    assert not (tmp_path / f"{jar.path}.part").exists()
    assert sum(seen) == jar.size


async def test_an_interrupted_download_continues_where_it_stopped(registry: Registry, tmp_path: Path) -> None:
    """The second request has a Range for the rest only."""
    jar = registry.has(jar_of(CONTENT), CONTENT)
    part = tmp_path / f"{jar.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:100_000])
    await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))
    assert registry.asked == [(f"/{jar.path}", "bytes=100000-")]
    assert (tmp_path / jar.path).read_bytes() == CONTENT


async def test_a_connection_that_breaks_is_tried_again_from_there(registry: Registry, tmp_path: Path) -> None:
    """Two cuts: three requests, the later ones for what is missing."""
    jar = registry.has(jar_of(CONTENT), CONTENT)
    registry.breaks = 2
    await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))
    assert (tmp_path / jar.path).read_bytes() == CONTENT
    assert [asked for _, asked in registry.asked][1:] == ["bytes=128000-", "bytes=256000-"][
        : len(registry.asked) - 1
    ]


async def test_a_registry_without_ranges_works(registry: Registry, tmp_path: Path) -> None:
    """It sends the whole file; the partial file is replaced, not extended."""
    jar = registry.has(jar_of(CONTENT), CONTENT)
    registry.ranges = False
    part = tmp_path / f"{jar.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))
    assert (tmp_path / jar.path).read_bytes() == CONTENT


async def test_a_broken_partial_download_is_replaced(registry: Registry, tmp_path: Path) -> None:
    """What an earlier run left does not match: downloaded once more from the start."""
    jar = registry.has(jar_of(CONTENT), CONTENT)
    part = tmp_path / f"{jar.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 5000)
    await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))
    assert (tmp_path / jar.path).read_bytes() == CONTENT
    assert [asked for _, asked in registry.asked] == ["bytes=5000-", ""]


async def test_a_wrong_checksum_is_refused_by_name(registry: Registry, tmp_path: Path) -> None:
    """The message has the file and both checksums; the file is deleted, good ones stay."""
    bad = registry.has(jar_of(CONTENT, sha256="f" * 64), CONTENT)
    good = registry.has(jar_of(b"good", "good"), b"good")
    with pytest.raises(ChecksumMismatch, match=r"neo4j-1\.jar.*f{64}") as caught:
        await fetch.fetch([bad, good], fetch.Source(registry.url, tmp_path))
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert not (tmp_path / bad.path).exists()
    assert not (tmp_path / f"{bad.path}.part").exists()


async def test_a_longer_file_than_promised_is_refused(registry: Registry, tmp_path: Path) -> None:
    """And not read to its end, whatever its length."""
    jar = registry.has(jar_of(b"short"), CONTENT)
    with pytest.raises(ChecksumMismatch, match=r"neo4j-1\.jar"):
        await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))


async def test_a_registry_that_fails_temporarily_is_tried_again(registry: Registry, tmp_path: Path) -> None:
    """503 is retried."""
    jar = registry.has(jar_of(CONTENT), CONTENT)
    registry.refuses = 2
    await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))
    assert (tmp_path / jar.path).read_bytes() == CONTENT


async def test_a_missing_file_is_reported_at_once(registry: Registry, tmp_path: Path) -> None:
    """404 is not retried: one request, and the message says what to do."""
    with pytest.raises(CannotDownload, match=r"(?s)neo4j-1\.jar.*404.*NEO4J_URI"):
        await fetch.fetch([jar_of(CONTENT)], fetch.Source(registry.url, tmp_path))
    assert len(registry.asked) == 1


async def test_without_a_network_the_message_says_what_to_do(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which file, from where, into which folder, and three remedies."""
    monkeypatch.setattr(fetch, "MAX_ATTEMPTS", 2)
    with pytest.raises(CannotDownload) as caught:
        await fetch.fetch([jar_of(CONTENT)], fetch.Source(f"http://127.0.0.1:{unused_tcp_port}", tmp_path))
    for word in ("neo4j-1.jar", f"127.0.0.1:{unused_tcp_port}", str(tmp_path), "HTTPS_PROXY", "NEO4J_URI"):
        assert word in str(caught.value)


async def test_a_full_disk_is_reported_before_anything_is_fetched(registry: Registry, tmp_path: Path) -> None:
    """A jar of a million terabytes fits nowhere."""
    jar = Jar(group="org.neo4j", artifact="neo4j", classifier="", version="1", sha256="0" * 64, size=10**18)
    with pytest.raises(NoSpace, match="XDG_CACHE_HOME"):
        await fetch.fetch([jar], fetch.Source(registry.url, tmp_path))
    assert not registry.asked


async def test_a_half_written_cache_is_repaired(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only broken and missing files are downloaded; the second time none."""
    monkeypatch.setenv("MAVEN_MIRROR_URL", registry.url)
    kept, cut, gone = (
        registry.has(jar_of(content, name), content)
        for name, content in {"neo4j": CONTENT, "cut": CONTENT[1:], "gone": b"gone"}.items()
    )
    for jar, content in ((kept, CONTENT), (cut, CONTENT[1:-1])):
        path = tmp_path / jar.path
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    lock = Lock("1", (kept, cut, gone))
    paths = await jars.ready_jars(lock, tmp_path)
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT[1:], b"gone"]
    assert {path for path, _ in registry.asked} == {f"/{cut.path}", f"/{gone.path}"}
    registry.asked.clear()
    await jars.ready_jars(lock, tmp_path)
    assert not registry.asked


PROCESS = """
import asyncio, sys
from pathlib import Path
from local_stack.jars import jars, lockfile
lock = lockfile.parse(Path(sys.argv[1]).read_text())
print(sum(path.stat().st_size for path in asyncio.run(jars.ready_jars(lock, Path(sys.argv[2])))))
"""


async def test_several_processes_at_once_fetch_each_file_once(registry: Registry, tmp_path: Path) -> None:
    """One downloads, the others wait and then find everything."""
    made = [
        registry.has(jar_of(CONTENT[:n], name), CONTENT[:n])
        for name, n in {"neo4j": 200_000, "a": 100_000, "b": 50_000}.items()
    ]
    file = tmp_path / "lock"
    file.write_text("".join(f"{jar.coordinates} {jar.sha256} {jar.size}\n" for jar in made))
    command = (sys.executable, "-c", PROCESS, str(file), str(tmp_path / "cache"))
    processes = [
        await asyncio.create_subprocess_exec(
            *command, env={"MAVEN_MIRROR_URL": registry.url}, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [(await process.communicate())[0].strip() for process in processes]
    assert said == [b"350000"] * 3
    assert len(registry.asked) == 3
