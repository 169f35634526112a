// Records one applied migration at the end of the chain, in the shape that neo4j-migrations reads.
//
// parameters: version, description, source, checksum, by, connected_as: strings, took: integer (ms)
// returns:    nothing
// locks:      the chain's last node; the runner holds the migration lock
// plan:       NodeByLabelScan; Eager (the chain is read before it grows)
MERGE (start:__Neo4jMigration {version: 'BASELINE'})
WITH start
OPTIONAL MATCH (last:__Neo4jMigration)
WHERE last.version <> 'BASELINE' AND last.migrationTarget IS NULL AND NOT EXISTS { (last)-[:MIGRATED_TO]->() }
WITH coalesce(last, start) AS previous
CREATE (m:__Neo4jMigration {version: $version, description: $description, type: 'CYPHER', repeatable: false,
                            source: $source, checksum: $checksum})
CREATE (previous)-[:MIGRATED_TO {at: datetime({timezone: 'UTC'}), in: duration({milliseconds: $took}),
                                 by: $by, connectedAs: $connected_as}]->(m)
