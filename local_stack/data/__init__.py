"""Generated populations, offline import and backups of the embedded graph.

In: seeds and files. Out: files, or a filled database.
Imports: `engines`.
"""
