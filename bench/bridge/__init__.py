"""Benchmarks of the bridge alone, and comparisons with the predictions of `simulate`.

In: a population and a stub. Out: JSON and tables.
Imports: `charts`, `graph`, `harness`.
"""
