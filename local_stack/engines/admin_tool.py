"""Run Neo4j's administration tool from the fetched jars on a stopped server's home folder.

Source: Neo4j operations manual, ``neo4j-admin``; tried on 5.26.28. Arguments are passed in a file, since 214 paths do
not fit a command line, and the tool gets none of this process's environment.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from local_stack.engines import java
from local_stack.engines.neo4j_server import ADMIN_CLASS, Neo4jEngine
from local_stack.engines.process import tail
from local_stack.jars import jars

BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""JVM flags for a run of seconds: the cheapest compiler and garbage collector."""


async def run(
    engine: Neo4jEngine, words: Sequence[str], folder: Path, flags: Sequence[str] = ()
) -> tuple[int, str]:
    """Run the tool with the arguments `words`; log and argument file go into `folder`. Returns exit code and last lines.

    `flags` are added to the JVM's heap size, which is the server's. Cancelling this call kills the tool.
    """
    paths = await jars.ready_jars(engine.lock)
    found = java.find(engine.lock.version)
    memory = f"-Xmx{max(512, engine.memory.heap)}m"
    command = [memory, *flags, "-cp", os.pathsep.join(map(str, paths)), ADMIN_CLASS, *words]
    arguments, log = folder / "admin.args", folder / "admin.log"
    arguments.write_text("".join(f'"{word}"\n' for word in command), encoding="utf-8")
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            found.command,
            f"@{arguments}",
            env={"NEO4J_HOME": str(engine.home), "NEO4J_CONF": str(engine.home / "conf")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            raise
    return code, _without_noise(tail(log, 400))


def _without_noise(text: str) -> str:
    """The last lines, without Java stack frames and progress lines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("at ", "Files:", "...."))]
    return "\n".join(lines[-15:])
