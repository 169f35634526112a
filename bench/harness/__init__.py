"""What benchmarks share: clocks, populations, users, stubs, steps.

In: a running system. Out: measurements.
Imports: `charts`.
"""
