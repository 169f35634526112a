"""The same tapes as in the simulation, fewer, on real Neo4j and Valkey; and a bridge without a rule is caught there too."""

from __future__ import annotations

import pytest

from graph_service.graph.driver import Graph
from graph_service.valkey.cluster import open_valkey
from tests.conftest import Servers
from tests.mutants.catalogue import MUTANTS
from tests.mutants.live import mutated
from tests.simulation import real
from tests.simulation.known_tapes import TAPES
from tests.simulation.tapes import stormy, tape

SEEDS = (7, 19, 52, 86, 190)
"""Tapes with kills, second owners, repeats, late deliveries and blocks."""
TAKEN_OUT = ("flap is not written", "redelivered entries not treated as such")


@pytest.mark.parametrize("seed", SEEDS)
async def test_at_the_end_every_view_equals_the_real_graph(graph: Graph, servers: Servers, seed: int) -> None:
    """Flags, relations, outbox and streams are the databases' own, and return what the models do."""
    async with open_valkey(servers.redis_url) as valkey:
        assert await real.simulate_on(graph, valkey, tape(seed, 60)) == []


async def test_a_storm_leaves_every_view_right_on_the_real_graph(graph: Graph, servers: Servers) -> None:
    """Everybody goes and comes a few times, with the other faults of its tape."""
    async with open_valkey(servers.redis_url) as valkey:
        assert await real.simulate_on(graph, valkey, stormy(52, 40)) == []


@pytest.mark.parametrize("name", TAKEN_OUT)
async def test_a_rule_that_is_taken_out_is_missed_on_real_databases_too(
    graph: Graph, servers: Servers, name: str
) -> None:
    """So the real databases show faults, and the models do not make them up."""
    async with open_valkey(servers.redis_url) as valkey:
        assert await real.simulate_on(graph, valkey, TAPES[name]) == []
        with mutated(MUTANTS[name]):
            assert await real.simulate_on(graph, valkey, TAPES[name])
