"""Neo4j: the driver, the catalogue of queries, migrations, warming.

In: query names and parameters. Out: rows.
May import `settings`, `tracing`, `errors`; only `driver` imports the neo4j package.
"""
