"""Everything in Valkey, one file per kind of key: presence log, inbox streams, dead letters, health.

In: values of `model`. Out: accepted entries, or `QueueUnavailable`.
May import `model`, `metrics` and `graph_service.valkey.client`.
"""
