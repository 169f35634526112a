"""Neo4j: the driver, the catalogue of queries, migrations, warming.

In: query names and parameters. Out: rows.
Imports: `errors`, `settings`, `tracing`.
"""
