"""Friend presence beside its peers: same machine, same friends, same comings and goings, one run.

Knows ejabberd (XMPP) and our stack as systems under test, PostgreSQL as a graph, and Nakama by figures measured
earlier. Each file knows one of them; `play` drives any of them by one trace. Run with ``python -m bench.peers``.

Imports: `charts`, `graph`, `harness`.
"""
