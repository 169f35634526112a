"""Benchmarks of the whole system.

In: a running stack. Out: JSON, tables and charts.
May import `harness`, `charts` and `bridge`.
"""
