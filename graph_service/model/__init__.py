"""The vocabulary and its pure rules: flags, users, ids, shards, messages, cursors.

In: nothing. Out: plain values.
Imports: `errors`.
"""
