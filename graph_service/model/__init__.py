"""Pure values and rules: flags, users, ids, shards, messages, cursors, timestamps.

In: nothing. Out: plain values.
Imports: `errors`.
"""
