"""Which options Java gets for the classes it has read before. The archives are made by the wheel's own Java."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from local_stack import class_archive, java
from local_stack.java import Java

NEO4J = "5.26.28"
CLASSPATH = "/nowhere/some.jar"


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Java:
    """The wheel's Java, beside an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return java.find(NEO4J, {})


def run(found: Java, flags: tuple[str, ...]) -> str:
    """What Java says with these options."""
    command = [found.command, *flags, "-Xlog:cds", "-version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_the_first_clean_end_leaves_what_the_next_start_uses(found: Java) -> None:
    """Who is not a server leaves nothing, since it would be of other classes."""
    assert len(await class_archive.flags(found, CLASSPATH, leaves=False)) == 1
    first = await class_archive.flags(found, CLASSPATH)
    assert "-XX:ArchiveClassesAtExit=" in first[1]
    run(found, first)
    (kept,) = await class_archive.flags(found, CLASSPATH)
    assert kept.endswith("neo4j.jsa")
    assert "neo4j.jsa" in run(found, (kept,))
    assert len(await class_archive.flags(found, "/nowhere/other.jar")) == 2


def test_a_half_made_archive_is_not_used(found: Java) -> None:
    """A server that was killed while it wrote."""
    _, left = asyncio.run(class_archive.flags(found, CLASSPATH))
    Path(left.partition("=")[2]).write_bytes(b"\0" * 4096)
    assert len(asyncio.run(class_archive.flags(found, CLASSPATH))) == 2


async def test_an_older_java_gets_no_such_option(tmp_path: Path) -> None:
    """It would refuse to start."""
    assert await class_archive.flags(Java(tmp_path, 17), CLASSPATH) == ()


async def test_a_java_that_cannot_write_its_archive_starts_without(tmp_path: Path, found: Java) -> None:
    """Whatever the reason."""
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    (home / "release").touch()
    (home / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    (home / "bin" / "java").chmod(0o755)
    assert await class_archive.flags(Java(home, found.major), CLASSPATH) == ()
