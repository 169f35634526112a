"""Users and friendships from and to CSV files: parsing, import with a journal, export.

In: files. Out: rows in the graph, or files.
Imports: `errors`, `friends`, `graph`, `model`.
"""
