"""Use cases over the graph: friends, users, suggestions, presence flags, the outbox.

In: ids. Out: what the rules of friendship allow.
Imports: `concurrency`, `errors`, `graph`, `model`.
"""
