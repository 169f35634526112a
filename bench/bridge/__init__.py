"""Benchmarks of the bridge without the rest, and what `simulate` predicts beside them.

In: a population and a stub. Out: JSON and tables.
Imports: `charts`, `graph`, `harness`.
"""
