"""Faults of disks: a database's disk becomes full, and has space again."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from chaos.nemesis import Fault
from chaos.stack import Stack
from local_stack.engines.neo4j_server import Neo4jEngine
from local_stack.engines.process import Program

SMALL_LOGS = "db.tx_log.preallocate=false\ndb.tx_log.rotation.size=1m\n"
"""By default a log file of 256 MiB is allocated in advance, and a full disk would have an effect only after hours."""
NEO4J_SETUP_SECONDS = 12.0


class SmallLogs(Neo4jEngine):
    """Neo4j with small transaction logs, which soon needs space."""

    async def prepare(self, port: int) -> Program:
        """See `Engine`."""
        program = await super().prepare(port)
        with (self.home / "conf" / "neo4j.conf").open("a", encoding="utf-8") as file:
            file.write(SMALL_LOGS)
        return program


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


@asynccontextmanager
async def _valkey_full(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
    with _filled(stack.disks["Valkey"]):
        yield


@asynccontextmanager
async def _neo4j_full(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
    """Neo4j does not write again after a full disk, so it is restarted when there is space."""
    part, server = stack.parts["Neo4j"], stack.engines.neo4j.server
    if server is not None and type(server.engine) is Neo4jEngine:
        engine = server.engine
        server.engine = SmallLogs(
            **{one.name: getattr(engine, one.name) for one in dataclasses.fields(engine)}
        )
        await part.kill()
        await part.start()
    with _filled(stack.disks["Neo4j"]):
        yield
    await part.kill()
    await part.start()


VALKEY = Fault("Valkey's disk full", _valkey_full, lambda stack: "Valkey" in stack.disks)
NEO4J = Fault("Neo4j's disk full", _neo4j_full, lambda stack: "Neo4j" in stack.disks, NEO4J_SETUP_SECONDS)
