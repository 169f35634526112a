"""Neo4j's jars: the lock file, fetching, verification, the cache.

In: the lock file. Out: verified files.
Imports: `errors`.
"""
