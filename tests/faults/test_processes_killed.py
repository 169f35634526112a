"""The short form of ``make chaos``: real processes die under churn, and the judge finds nothing lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chaos.nemesis import killed
from chaos.run import acts_of, populated
from chaos.stack import running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SEED = 11
FAULT = killed("Neo4j", "Valkey", "origin", "a bridge")


async def test_nothing_is_lost_when_bridges_databases_and_origin_are_killed(tmp_path: Path) -> None:
    """Every view equals the graph and Here Now; no committed change is missing from an online friend's inbox."""
    chance = random.Random(SEED)
    async with running(tmp_path, bridges=2) as stack, populated(stack, 18, 1, chance) as run:
        cycle = await run.cycle(FAULT, chance, acts_of(run, chance, FAULT))
        assert cycle.lost == []
        assert cycle.settled, "nothing happened, so nothing could be lost"
