"""What the operator console shows: one snapshot of all bridges, and the audit log of who looked at whom.

`report` and `top_users` are filled by each bridge; `feed` reads all reports and the streams, `snapshot` merges them.
Knows no route: `api.console` serves what is here.
"""
