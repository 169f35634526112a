"""Neo4j's jars: the lock file, fetching, verification, the cache.

In: the lock file. Out: verified files.
May import nothing of the other rooms.
"""
