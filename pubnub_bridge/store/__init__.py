"""Everything in Valkey, one file per kind of key: presence log, inbox streams, dead letters, health.

In: values of `model`. Out: accepted entries, or `QueueUnavailable`.
Imports: `metrics`, `model`.
"""
