// The applied migrations, in order.
//
// parameters: none
// returns:    one row for each migration: version, checksum, source
// locks:      none
// plan:       NodeByLabelScan
MATCH (m:__Neo4jMigration) WHERE m.version <> 'BASELINE' AND m.migrationTarget IS NULL
RETURN m.version AS version, m.checksum AS checksum, m.source AS source ORDER BY toInteger(m.version)
