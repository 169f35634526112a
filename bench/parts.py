"""Which benchmarks there are, in the order a reader meets them, and which of them fit into ``make bench``. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("docs/benchmarks")


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark."""

    file: str
    """Its figures, without the ending."""
    title: str
    target: str
    """What to type."""
    module: str = ""
    """What ``make bench`` runs; empty for a part that runs apart."""
    options: tuple[str, ...] = ()
    """Of that run: smaller sizes than alone, where all together would take longer than 15 minutes."""
    written: str = "--json"
    """The option that takes the file."""


PARTS = (
    Part("graph", "The graph's questions, beside PostgreSQL", "make bench-graph", "bench.graph.queries"),
    Part(
        "mix",
        "The API under LinkBench's mix",
        "make bench-mix",
        "bench.graph.mix",
        ("--rates", "50,100,200,400", "--seconds", "5"),
    ),
    Part(
        "settling",
        "Settling by batch and by degree",
        "make bench-settling",
        "bench.bridge.commit",
        ("--seconds", "0.5"),
    ),
    Part(
        "bridge",
        "The bridge against a stub",
        "make bench-bridge",
        "bench.bridge.pipeline",
        ("--seconds", "5"),
    ),
    Part("bridge-100k", "The bridge on 100,000 people", 'make bench-bridge ARGS="--people 100000"'),
    Part(
        "fanout",
        "Fan-out by window",
        "make bench-fanout",
        "bench.bridge.fanout",
        ("--seconds", "0.5", "--windows", "0,1,5"),
    ),
    Part(
        "publish",
        "The publish path beside the official SDK",
        "make bench-publish",
        "bench.bridge.publish",
        ("--seconds", "0.5"),
    ),
    Part(
        "whole",
        "The whole system, through the wire",
        "make bench-whole",
        "bench.system.end_to_end",
        ("--rates", "25,50", "--seconds", "8"),
    ),
    Part("whole-sink", "The same, publishes into a sink", 'make bench-whole ARGS="--sink"'),
    Part("storm", "Storm: everybody drops and returns", "make bench-storm"),
    Part("overload", "Overload: twice as much as can be done", "make bench-overload"),
    Part("peers", "Peers on the same machine and graph", "make bench-peers"),
    Part("growth", "Growth", "make bench-growth"),
    Part("growth-large", "Growth to 500,000 people", "make bench-large"),
    Part("sizing", "What the simulator's unit costs come from", "make bench-sizing"),
    Part("origin", "The local origin", "make bench-origin", "bench.system.origin"),
    Part("page", "The friends page in a browser", "make bench-page"),
    Part("pure", "Where the pure variant ends", "make bench-pure"),
    Part("recovery", "A copy of the graph, and a restore", "make bench-recovery"),
    Part("soak", "An hour under a living population", "make soak"),
)
