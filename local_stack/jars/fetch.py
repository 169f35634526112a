"""Download the files of a lock file: in parallel, verified, resumed, with retries.

A file is written as ``<name>.part`` and renamed once its SHA-256 is right, so a file with its final name is complete.
An interrupted download is resumed with a Range request (RFC 9110, 14.2).
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import certifi
import stamina

from local_stack.errors import CannotDownload, ChecksumMismatch, NoSpace
from local_stack.jars import cache
from local_stack.jars.lockfile import Jar

MAX_CONCURRENT_DOWNLOADS = 12
MAX_ATTEMPTS = 5
CHUNK_BYTES = 64 * 1024
CACHE_OPTION = "XDG_CACHE_HOME"
SPARE_BYTES = 64 * 2**20
"""Must stay free in addition to what is downloaded."""

Advance = Callable[[int], None]
"""Called with the number of bytes that have arrived since the last call."""


@dataclass(frozen=True)
class Source:
    """Base address, target folder, and the callback for progress."""

    base: str
    folder: Path
    advance: Advance = lambda _: None

    @property
    def host(self) -> str:
        """The registry's host, for messages."""
        return urlsplit(self.base).netloc


class _TemporaryError(Exception):
    """The server failed in a way that a retry may fix (429 or 5xx)."""


def default_base() -> str:
    """The registry's address: MAVEN_MIRROR_URL, or the resolver library's default."""
    if mirror := os.environ.get("MAVEN_MIRROR_URL"):
        return mirror.rstrip("/")
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - half a second, only when something is missing

    return str(MAVEN_CENTRAL_URL)


async def fetch(jars: Iterable[Jar], source: Source) -> None:
    """Download every jar into ``source.folder``, the largest first.

    Raises `CannotDownload`, `ChecksumMismatch` or `NoSpace`, each naming the file; complete files stay.
    """
    todo = sorted(jars, key=lambda jar: -jar.size)
    _check_space(todo, source)
    slots = asyncio.Semaphore(MAX_CONCURRENT_DOWNLOADS)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=30)
    connector = aiohttp.TCPConnector(limit=MAX_CONCURRENT_DOWNLOADS, ssl=_tls_context())
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=True) as session:

        async def one(jar: Jar) -> None:
            async with slots:
                await _fetch_jar(session, jar, source)

        try:
            async with asyncio.TaskGroup() as group:
                for jar in todo:
                    group.create_task(one(jar), name=f"fetch {jar.name}")
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None


def _tls_context() -> ssl.SSLContext:
    """Trusts the system's certificates (SSL_CERT_FILE included) and certifi's: some Pythons come without any."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _check_space(jars: list[Jar], source: Source) -> None:
    source.folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(jar.size for jar in jars) + SPARE_BYTES, shutil.disk_usage(source.folder).free
    if free < needed:
        raise NoSpace(
            path=source.folder, needed_mb=needed // 2**20, free_mb=free // 2**20, option=CACHE_OPTION
        )


async def _fetch_jar(session: aiohttp.ClientSession, jar: Jar, source: Source) -> None:
    """Resume or download one jar; if a resumed file has the wrong SHA-256, download it once more from the start."""
    final = source.folder / jar.path
    part = final.with_name(final.name + ".part")
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        continued = await _receive_with_retries(session, jar, source, part)
        if continued and await _digest(part) != jar.sha256:
            part.unlink()
            await _receive_with_retries(session, jar, source, part)
        found = await _digest(part)
    except (_TemporaryError, aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or "no response in time"
        raise CannotDownload(file=jar.name, host=source.host, reason=reason, cache=source.folder) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise NoSpace(path=part, needed_mb=jar.size // 2**20 + 1, free_mb=0, option=CACHE_OPTION) from error
    if found != jar.sha256:
        part.unlink()
        raise ChecksumMismatch(file=jar.name, host=source.host, found=found, expected=jar.sha256)
    part.replace(final)


async def _digest(part: Path) -> str:
    return await asyncio.to_thread(cache.sha256, part)


async def _receive_with_retries(session: aiohttp.ClientSession, jar: Jar, source: Source, part: Path) -> bool:
    """As `_receive`, with backoff after temporary errors; each attempt resumes where the last one stopped."""
    continued = False
    async for attempt in stamina.retry_context(
        on=(_TemporaryError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError),
        attempts=MAX_ATTEMPTS,
        wait_initial=0.2,
        wait_max=5.0,
    ):
        with attempt:
            continued |= await _receive(session, jar, source, part)
    return continued


async def _receive(session: aiohttp.ClientSession, jar: Jar, source: Source, part: Path) -> bool:
    """Append what is missing to `part`; returns whether the server resumed an earlier download."""
    have = cache.size(part)
    if have >= jar.size:
        return True
    headers = {"Range": f"bytes={have}-"} if have else {}
    async with session.get(f"{source.base}/{jar.path}", headers=headers) as response:
        if response.status == 429 or response.status >= 500:
            raise _TemporaryError(f"HTTP status {response.status}")
        if response.status not in (200, 206):
            reason = f"HTTP status {response.status}"
            raise CannotDownload(file=jar.name, host=source.host, reason=reason, cache=source.folder)
        continued = response.status == 206
        source.advance(have if continued else 0)
        with part.open("ab" if continued else "wb") as file:
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                file.write(chunk)
                source.advance(len(chunk))
                if file.tell() > jar.size:
                    break
    return continued
