"""What the operator console shows: one snapshot of all bridges, and the audit log of who looked at whom.

Each bridge writes a `report`, with its `top_users`; `feed` reads all reports, decoded by `bridge_report`, and the lengths
of the streams; `snapshot` merges them. The routes are in `api.console`.
"""
