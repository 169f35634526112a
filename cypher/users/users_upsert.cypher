// Creates users or renames them.
//
// parameters: rows: list of [id string, name string, shard integer]; each id once
// returns:    one row: created, renamed: lists of ids
// locks:      the users, ascending by id
// plan:       NodeUniqueIndexSeek; Eager (rows are sorted before they are written)
UNWIND $rows AS row
WITH row ORDER BY row[0]
MERGE (u:User {id: row[0]})
ON CREATE SET u.created = true
SET u.id = u.id
WITH u, row, coalesce(u.created, false) AS created, coalesce(u.name, "") AS before
SET u.name = row[1], u.shard = row[2]
REMOVE u.created
RETURN [id IN collect(CASE WHEN created THEN row[0] END) | id] AS created,
       [id IN collect(CASE WHEN NOT created AND before <> row[1] THEN row[0] END) | id] AS renamed
