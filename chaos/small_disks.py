"""Small disks in memory (tmpfs) for the databases, so that they can be filled. Only root can mount them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

FOLDERS = {"Valkey": ("valkey", 64), "Neo4j": ("neo4j/data", 1024)}
"""The folder that a database writes to, below the data folder, and the size of its disk in MiB."""


@asynccontextmanager
async def small_disks(root: Path) -> AsyncIterator[Mapping[str, Path]]:
    """Mount a disk for each database until the block ends. Disks that cannot be mounted are left out."""
    found = {}
    async with AsyncExitStack() as exits:
        for name, (folder, size) in FOLDERS.items():
            if disk := await exits.enter_async_context(_mounted(root / folder, size)):
                found[name] = disk
        yield found


@asynccontextmanager
async def _mounted(folder: Path, size: int) -> AsyncIterator[Path | None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything runs
    mounted = os.geteuid() == 0 and await _called(
        "mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", folder
    )
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            await _called("umount", folder)


async def _called(*words: str | Path) -> bool:
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(*words, stdout=quiet, stderr=quiet)
    except OSError:
        return False
    return await process.wait() == 0
