"""Neo4j: the driver, the catalogue of queries, migrations, warm-up.

In: query names and parameters. Out: rows.
Imports: `errors`, `settings`, `tracing`.
"""
