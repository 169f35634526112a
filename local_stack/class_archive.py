"""Classes that Neo4j's Java has read before, kept for its next start (application class-data sharing).

A start spends a third of its time on reading and checking classes. The Java of the wheel comes without an archive of
its own ones, so that is written first (half a second, once); the first server that ends cleanly leaves Neo4j's. What is
missing or does not fit any more, Java ignores. Knows the cache and an archive's first bytes; starts only that dump.

Sources: JDK 21 tool specification, java (SharedArchiveFile, ArchiveClassesAtExit, AutoCreateSharedArchive since 19).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from pathlib import Path

from local_stack import cache
from local_stack.java import Java

OLDEST = 19
"""The first Java on which an archive of other options than the present ones is ignored, not an error."""
WHOLE = bytes.fromhex("a8ab0bf0")
"""How the second layer of an archive begins (0xf00baba8). These bytes are written last: a half-made one has none."""


async def flags(java: Java, classpath: str, leaves: bool = True) -> tuple[str, ...]:
    """Options for Java with these jars: use what is kept, or else, where it `leaves` one, make it at a clean end."""
    if java.major < OLDEST:
        return ()
    folder = await asyncio.to_thread(_folder, java, classpath)
    own, top = folder / "java.jsa", folder / "neo4j.jsa"
    if not own.exists() and not await _dumped(java, own):
        return ()
    if top.exists() or _adopted(folder, top):
        return (f"-XX:SharedArchiveFile={own}{os.pathsep}{top}",)
    if not leaves:
        return (f"-XX:SharedArchiveFile={own}",)
    left = folder / f"{uuid.uuid4().hex}.part"
    return (f"-XX:SharedArchiveFile={own}", f"-XX:ArchiveClassesAtExit={left}")


def _folder(java: Java, classpath: str) -> Path:
    """Of this very Java and these very jars."""
    release = (java.home / "release").read_bytes()
    key = hashlib.sha256(b"\0".join((os.fsencode(java.home), release, classpath.encode()))).hexdigest()
    folder = cache.cache_folder() / "classes" / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _dumped(java: Java, own: Path) -> bool:
    """Whether Java could write the archive of its own classes."""
    made = own.with_name(f"{uuid.uuid4().hex}.own")
    run = await asyncio.create_subprocess_exec(
        java.command,
        "-Xshare:dump",
        f"-XX:SharedArchiveFile={made}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if await run.wait():
        made.unlink(missing_ok=True)
        return False
    made.replace(own)
    return True


def _adopted(folder: Path, top: Path) -> bool:
    """Whether a server has left one; the others are not needed then."""
    whole = [part for part in folder.glob("*.part") if _begins(part) == WHOLE]
    if not whole:
        return False
    whole[0].replace(top)
    for other in whole[1:]:
        other.unlink(missing_ok=True)
    return True


def _begins(part: Path) -> bytes:
    try:
        with part.open("rb") as file:
            return file.read(len(WHOLE))
    except OSError:
        return b""
