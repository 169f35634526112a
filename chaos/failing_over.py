"""Primaries of a Valkey Cluster that die or freeze while their replicas take over. Knows servers; leases live there too.

Only with ``--cluster``. Each fault ends with every primary having a replica in step again, since the next one may
hit any of them.
"""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from chaos.nemesis import Fault
from chaos.stack import Stack
from chaos.valkey_cluster import Node, ValkeyCluster

Done = Callable[[ValkeyCluster, Node], None]


def _befalls_a_primary(name: str, hurt: Done, heal: Done) -> Fault:
    @asynccontextmanager
    async def inflicted(stack: Stack, chance: random.Random) -> AsyncIterator[None]:
        cluster = stack.cluster
        if cluster is None:
            raise LookupError("only with --cluster")
        node = chance.choice(await cluster.primaries())
        hurt(cluster, node)
        try:
            yield
        finally:
            heal(cluster, node)
            await cluster.whole()

    return Fault(f"{name} a primary of the Cluster", inflicted, lambda stack: stack.cluster is not None)


FAILED_OVER = [
    _befalls_a_primary("kill -9", ValkeyCluster.kill, ValkeyCluster.start_again),
    # It wakes up thinking that it still is a primary.
    _befalls_a_primary(
        "SIGSTOP",
        lambda _, node: node.process.send_signal(signal.SIGSTOP),
        lambda _, node: node.process.send_signal(signal.SIGCONT),
    ),
]
