"""The vocabulary and its pure rules: flags, users, ids, shards, messages, cursors.

In: nothing. Out: plain values.
May import `errors`; does no I/O.
"""
