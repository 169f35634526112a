"""Neo4j and Valkey as processes of this machine.

In: a data folder. Out: servers that accept queries.
Imports: `errors`, `jars`.
"""
