"""Benchmarks of the whole system.

In: a running stack. Out: JSON, tables and charts.
Imports: `bridge`, `charts`, `harness`, `peers`.
"""
