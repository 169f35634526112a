"""Comparison with peers: same machine, same friendships, same transitions, one run.

ejabberd (XMPP) and our stack are systems under test, PostgreSQL is a graph, and Nakama's figures are quoted. One file for
each; `play` drives any system by the same trace. Run with ``python -m bench.peers``.

Imports: `charts`, `graph`, `harness`.
"""
