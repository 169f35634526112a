"""Rolling restarts with new options under load, and the steps of a change of shards."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from chaos.nemesis import Fault, FaultContext
from chaos.stack import Stack

PARTITIONS = 4
"""Divides 100, 128 and 2048; the usual 20 does not divide 128."""
ROLL_SECONDS = 15.0
"""Duration for three bridges and an API; churn lasts as long."""
START = {"PARTITIONS": str(PARTITIONS), "PRESENCE_SHARDS": "100"}


@asynccontextmanager
async def _rolled(stack: Stack, options: Mapping[str, str]) -> AsyncIterator[None]:
    stack.environ.update(options)
    for part in [*stack.bridges, stack.parts["API"]]:
        await part.stop()
        await part.start()
    yield


def rolled(name: str, **options: str) -> Fault:
    """Stop and start one bridge after the other, then the API, with these options."""

    def inflict(stack: Stack, _chance: random.Random) -> FaultContext:
        return _rolled(stack, options)

    return Fault(name, inflict, setup_seconds=ROLL_SECONDS)


@asynccontextmanager
async def _no_fault(_stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
    yield


NEW_SESSIONS = Fault("every client takes a new session", _no_fault)
RESHARD = [
    rolled("100 shards: bridges listen to 128 as well", PRESENCE_SHARDS_PREVIOUS="128"),
    rolled("128 are handed out, 100 listened to", PRESENCE_SHARDS="128", PRESENCE_SHARDS_PREVIOUS="100"),
    NEW_SESSIONS,
    rolled("only 128", PRESENCE_SHARDS_PREVIOUS="0"),
    rolled("4 x 512 listened to as well", PRESENCE_SHARDS_PREVIOUS="2048", PRESENCE_SHARD_LEVELS_PREVIOUS="2"),
    rolled(
        "4 x 512 handed out, 128 listened to",
        PRESENCE_SHARDS="2048", PRESENCE_SHARD_LEVELS="2", PRESENCE_SHARDS_PREVIOUS="128", PRESENCE_SHARD_LEVELS_PREVIOUS="1",
    ),
    NEW_SESSIONS,
    rolled("only 4 x 512", PRESENCE_SHARDS_PREVIOUS="0"),
]  # fmt: skip
"""From 100 shards to 128, and from those to 2,048 on two levels, without downtime."""
