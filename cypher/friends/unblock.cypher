// Ends a block. A request that it hid is visible again, and an Outbox node is written for it.
//
// parameters: me: string, other: string
// returns:    one row: changed; no row where either does not exist
// locks:      both users, ascending by id
// plan:       NodeUniqueIndexSeek; Eager (both locks are held before anything is read)
UNWIND [$me, $other] AS id
MATCH (u:User {id: id})
WITH u ORDER BY u.id
SET u.id = u.id
WITH collect(u) AS pair
WHERE size(pair) = 2
WITH pair[0] AS low, pair[1] AS high,
     CASE WHEN pair[0].id = $me THEN pair[0] ELSE pair[1] END AS me,
     CASE WHEN pair[0].id = $me THEN pair[1] ELSE pair[0] END AS other
WITH low, high, me, other, [(me)-[r:BLOCKED]->(other) | r] AS gone
FOREACH (r IN gone | DELETE r)
FOREACH (_ IN CASE WHEN size(gone) > 0 AND EXISTS { (other)-[:REQUESTED]->(me) } THEN [1] ELSE [] END |
  CREATE (:Outbox {a: low.id, b: high.id}))
RETURN size(gone) > 0 AS changed
