"""Catalogue of the benchmarks, in the order of the page, and those that ``make bench`` runs. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("docs/benchmarks")


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark."""

    file: str
    """Its file of figures, without the ending."""
    title: str
    target: str
    """The command to run it."""
    module: str = ""
    """What ``make bench`` runs; empty for a part that it leaves out."""
    options: tuple[str, ...] = ()
    """Options in ``make bench``: smaller sizes where all parts together would take longer than 15 minutes."""
    written: str = "--json"
    """The option that takes the file."""


PARTS = (
    Part("graph", "Graph queries, compared with PostgreSQL", "make bench-graph", "bench.graph.queries"),
    Part(
        "mix",
        "The API under LinkBench's mix",
        "make bench-mix",
        "bench.graph.mix",
        ("--rates", "50,100,200,400", "--seconds", "5"),
    ),
    Part(
        "settling",
        "Commits by batch size and number of friends",
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
    Part("bridge-100k", "The bridge on 100,000 users", 'make bench-bridge ARGS="--people 100000"'),
    Part(
        "fanout",
        "Fan-out by batch window",
        "make bench-fanout",
        "bench.bridge.fanout",
        ("--seconds", "0.5", "--windows", "0,1,5"),
    ),
    Part(
        "publish",
        "The publish path, compared with the official SDK",
        "make bench-publish",
        "bench.bridge.publish",
        ("--seconds", "0.5"),
    ),
    Part(
        "whole",
        "The whole system, end to end",
        "make bench-whole",
        "bench.system.end_to_end",
        ("--rates", "25,50", "--seconds", "8"),
    ),
    Part("whole-sink", "The same, with publishes into a sink", 'make bench-whole ARGS="--sink"'),
    Part("storm", "Storm: all users drop and return", "make bench-storm"),
    Part("overload", "Overload: twice the capacity", "make bench-overload"),
    Part("peers", "Peers on the same machine and graph", "make bench-peers"),
    Part("growth", "Growth", "make bench-growth"),
    Part("growth-large", "Growth to 500,000 people", "make bench-large"),
    Part("sizing", "Unit costs of the simulator", "make bench-sizing"),
    Part("origin", "The local origin", "make bench-origin", "bench.system.origin"),
    Part("page", "The friends page in a browser", "make bench-page"),
    Part("pure", "Limits of the pure-PubNub variant", "make bench-pure"),
    Part("recovery", "Backup and restore of the graph", "make bench-recovery"),
    Part("soak", "Soak: an hour of churn", "make soak"),
)
