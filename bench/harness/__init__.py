"""What benchmarks share: clocks, populations, users, stubs, steps.

In: a running system. Out: measurements.
May import `charts`.
"""
