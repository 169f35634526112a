// Ends a friendship. Idempotent.
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
WITH low, high, [(me)-[r:FRIEND]-(other) | r] AS gone
FOREACH (r IN gone | DELETE r)
FOREACH (_ IN gone | CREATE (:Outbox {a: low.id, b: high.id}))
RETURN size(gone) > 0 AS changed
