// Erases a user with every relation, and writes an Outbox node for each friend and visible request that ends.
//
// parameters: id: string
// returns:    one row: friends, requests, blocks: numbers that ended; told: ids of the users to notify
//             no row where the user does not exist
// locks:      the user and all related, ascending by id
// plan:       NodeUniqueIndexSeek; Eager (all locks are held before anything is deleted)
MATCH (u:User {id: $id})
WITH u, [(u)-[:FRIEND|REQUESTED|BLOCKED]-(n:User) | n] + [u] AS all
UNWIND all AS x
WITH DISTINCT u, x ORDER BY x.id
SET x.id = x.id
WITH DISTINCT u
WITH u, COUNT { (u)-[:FRIEND]-() } AS friends, COUNT { (u)-[:REQUESTED]-() } AS requests,
     COUNT { (u)-[:BLOCKED]-() } AS blocks,
     [(u)-[:FRIEND|REQUESTED]-(n:User) WHERE NOT EXISTS { (u)-[:BLOCKED]-(n) } | n.id] AS told
FOREACH (n IN told | CREATE (:Outbox {
  a: CASE WHEN $id < n THEN $id ELSE n END, b: CASE WHEN $id < n THEN n ELSE $id END}))
DETACH DELETE u
RETURN friends, requests, blocks, told
