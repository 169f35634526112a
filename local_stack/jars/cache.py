"""The cache of downloaded files: its folders, verification by SHA-256, and the lock for its one writer. No network."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from local_stack.jars.lockfile import Jar


def cache_folder() -> Path:
    """This project's cache folder: in XDG_CACHE_HOME, or in the platform's usual place."""
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "friends-presence"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "friends-presence"
    return Path.home() / ".cache" / "friends-presence"


def jars_folder() -> Path:
    """The jars, laid out as a Maven repository, so that versions share common files."""
    return cache_folder() / "maven"


def missing(jars: Iterable[Jar], folder: Path) -> list[Jar]:
    """The jars that are absent or broken: each file is read and its SHA-256 compared (0.1 s for all)."""
    listed = list(jars)
    with ThreadPoolExecutor() as pool:
        return [
            jar
            for jar, good in zip(listed, pool.map(lambda j: is_good(j, folder), listed), strict=True)
            if not good
        ]


def is_good(jar: Jar, folder: Path) -> bool:
    """Whether the file exists with the size and SHA-256 of the lock file."""
    path = folder / jar.path
    return size(path) == jar.size and sha256(path) == jar.sha256


def size(path: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@asynccontextmanager
async def only_writer(folder: Path) -> AsyncIterator[None]:
    """Wait for this folder's lock. The operating system releases it when its holder ends."""
    with _open(folder / ".lock") as file:
        while not lock(file):  # noqa: ASYNC110 - another process cannot set our event
            await asyncio.sleep(0.2)
        yield


def _open(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w")


def lock(file: IO[str]) -> bool:
    """Lock an open file, without waiting; False when another process has it locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
