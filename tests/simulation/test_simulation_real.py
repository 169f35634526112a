"""The same tapes as in the simulation, fewer, on real Neo4j and Valkey; and a walk without a rule is caught there too."""

from __future__ import annotations

import pytest

from graph_service.graph.driver import Graph
from graph_service.valkey.cluster import open_valkey
from tests.conftest import Servers
from tests.simulation import real
from tests.simulation.rules import Rules
from tests.simulation.tapes import stormy, tape

SEEDS = (7, 19, 52, 86, 190)
"""Tapes with crashes, second owners, repeats, late deliveries and blocks; each takes a second or two."""
TAKEN_OUT = {"flap_is_written": 5790, "read_after_commit": 1882}
"""Short tapes that miss a rule on the models."""


@pytest.mark.parametrize("seed", SEEDS)
async def test_at_the_end_every_view_equals_the_real_graph(graph: Graph, servers: Servers, seed: int) -> None:
    """Flags, relations, outbox and streams are the engines' own; PubNub and the processes are simulated."""
    async with open_valkey(servers.redis_url) as valkey:
        assert await real.simulate_on(graph, valkey, tape(seed, 60), Rules()) == []


async def test_a_storm_leaves_every_view_right_on_the_real_graph(graph: Graph, servers: Servers) -> None:
    """Everybody goes and comes a few times, with the other faults of its tape."""
    async with open_valkey(servers.redis_url) as valkey:
        assert await real.simulate_on(graph, valkey, stormy(52, 40), Rules()) == []


@pytest.mark.parametrize("rule", TAKEN_OUT)
async def test_a_rule_that_is_taken_out_is_missed_on_real_engines_too(
    graph: Graph, servers: Servers, rule: str
) -> None:
    """So the real engines show faults, and the models do not make them up."""
    steps = tape(TAKEN_OUT[rule], 60)
    async with open_valkey(servers.redis_url) as valkey:
        assert await real.simulate_on(graph, valkey, steps, Rules(**{rule: False}))
        assert await real.simulate_on(graph, valkey, steps, Rules()) == []
