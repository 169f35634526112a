"""Use cases over the graph: friends, users, suggestions, presence flags, the outbox.

In: ids. Out: what the rules of friendship allow.
May import `graph`, `valkey`, `concurrency`, `model`.
"""
