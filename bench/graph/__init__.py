"""Benchmarks of the graph and its API.

In: a population. Out: JSON and tables.
May import `harness` and `charts`.
"""
