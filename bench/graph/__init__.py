"""Benchmarks of the graph and its API.

In: a population. Out: JSON and tables.
Imports: `charts`, `harness`.
"""
