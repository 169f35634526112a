"""Catalogue of the faults, and the order of a run."""

from __future__ import annotations

import random

from chaos import full_disks
from chaos.failing_over import PRIMARY_FAULTS
from chaos.nemesis import Fault, clock_jumps, disturbed, frozen, killed, leases_lost
from chaos.rolling import rolled

FAULTS = [
    killed("a bridge"),
    killed("Valkey"),
    killed("Neo4j"),
    killed("origin"),
    killed("all bridges"),
    frozen("a bridge"),
    disturbed("429 storm", {"kind": "status", "prefix": "/publish", "status": 429, "rate": 0.7}),
    disturbed("presence lost", {"kind": "lose", "prefix": "presence.", "rate": 0.5}),
    disturbed("events twice and out of order", {"kind": "duplicate", "rate": 0.5}, {"kind": "reorder", "rate": 0.5}),
    disturbed("connections reset", {"kind": "reset", "rate": 0.3}),
    disturbed("origin slow", {"kind": "slow", "rate": 0.5, "delay_ms": 1500}),
    killed("API"),
    frozen("Valkey"),
    frozen("Neo4j"),
    frozen("origin"),
    frozen("API"),
    Fault("a bridge's clock jumps", clock_jumps),
    Fault("leases lost", leases_lost, lambda stack: stack.cluster is None),
    full_disks.VALKEY,
    full_disks.NEO4J,
    rolled("bridges and API replaced one by one"),
    killed("Neo4j", "a bridge"),
    killed("Valkey", "all bridges"),
    *PRIMARY_FAULTS,
    disturbed("publishes refused", {"kind": "status", "prefix": "/publish", "status": 503, "rate": 0.9}),
]  # fmt: skip
"""The first five are those that a short run must include."""


def rounds(chance: random.Random) -> list[Fault]:
    """One round of all faults: the first five, then the others, each group in random order."""
    first, rest = FAULTS[:5], FAULTS[5:]
    return chance.sample(first, len(first)) + chance.sample(rest, len(rest))
