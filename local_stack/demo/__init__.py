"""The demo users: created in the graph, scheduled, connected as clients.

In: the connection file of a running stack. Out: users who connect and disconnect.
Imports: `data`, `engines`.
"""
