"""Faults of a Valkey Cluster: primaries that die or freeze while their replicas take over.

Only with ``--cluster``. The leases are in the Cluster too. Each fault ends when every primary has a replica in sync again,
since the next fault may affect any of them.
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


def _primary_fault(name: str, hurt: Done, heal: Done) -> Fault:
    @asynccontextmanager
    async def inflict(stack: Stack, chance: random.Random) -> AsyncIterator[None]:
        cluster = stack.cluster
        if cluster is None:
            raise LookupError("only with --cluster")
        node = chance.choice(await cluster.primaries())
        hurt(cluster, node)
        try:
            yield
        finally:
            heal(cluster, node)
            await cluster.until_replicated()

    return Fault(f"{name} a primary of the Cluster", inflict, lambda stack: stack.cluster is not None)


PRIMARY_FAULTS = [
    _primary_fault("kill -9", ValkeyCluster.kill, ValkeyCluster.start_again),
    # It resumes with the belief that it is still a primary.
    _primary_fault(
        "SIGSTOP",
        lambda _, node: node.process.send_signal(signal.SIGSTOP),
        lambda _, node: node.process.send_signal(signal.SIGCONT),
    ),
]
