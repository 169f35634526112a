"""Valkey or Redis, one server or a Cluster: streams, leases, cached values.

In: keys and bytes. Out: entries, or `QueueUnavailable`.
May import `concurrency`, `metrics`, `errors`; nothing else imports redis.
"""
