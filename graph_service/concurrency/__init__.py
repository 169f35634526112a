"""Retry with backoff, waiting, batch loading, load shedding, cancellation and garbage collection tuning.

In: awaitables and times. Out: the same, bounded.
Imports: no other room.
"""
