"""Primaries of a Valkey Cluster that die or freeze while their replicas take over. Knows servers; leases live there too.

Only with ``--cluster``. Each fault ends with every primary having a replica in step again, since the next one may
hit any of them.
"""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.nemesis import Fault
from chaos.stack import Stack
from chaos.valkey_cluster import ValkeyCluster


def _of(stack: Stack) -> ValkeyCluster:
    if stack.cluster is None:
        raise LookupError("only with --cluster")
    return stack.cluster


def _clustered(stack: Stack) -> bool:
    return stack.cluster is not None


@asynccontextmanager
async def _dead(stack: Stack, chance: random.Random) -> AsyncIterator[None]:
    cluster = _of(stack)
    node = chance.choice(await cluster.primaries())
    cluster.kill(node)
    try:
        yield
    finally:
        cluster.start_again(node)
        await cluster.whole()


@asynccontextmanager
async def _asleep(stack: Stack, chance: random.Random) -> AsyncIterator[None]:
    """It wakes up thinking that it still is a primary."""
    cluster = _of(stack)
    node = chance.choice(await cluster.primaries())
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)
        await cluster.whole()


FAILED_OVER = [
    Fault("kill -9 a primary of the Cluster", _dead, _clustered),
    Fault("SIGSTOP a primary of the Cluster", _asleep, _clustered),
]
