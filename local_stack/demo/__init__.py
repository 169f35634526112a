"""The demo users: in the graph, on a schedule, as clients.

In: the file of a running stack. Out: users who come and go.
Imports: `data`, `engines`.
"""
