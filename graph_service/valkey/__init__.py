"""Valkey or Redis, one server or a Cluster: streams, leases, cached values.

In: keys and bytes. Out: entries, or `QueueUnavailable`.
Imports: `concurrency`, `errors`, `metrics`.
"""
