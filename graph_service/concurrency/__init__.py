"""Waiting, batching and shedding that any part may use.

In: awaitables and times. Out: the same, bounded.
Imports: no other room.
"""
