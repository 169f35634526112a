"""Composition: builds every part of a process, runs its tasks and stops them. Decides nothing.

In: settings. Out: a running bridge.
May import everything but `api`, `cli`, `doctor` and `process`.
"""
