"""Composition: builds every part of a process, runs its tasks and stops them. Decides nothing.

In: settings. Out: a running bridge.
Imports: `debounce`, `errors`, `fanout`, `ingest`, `metrics`, `model`, `observe`, `partitions`, `pubnub_api`, `settings`, `store`.
"""
