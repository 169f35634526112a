// Blocks a user: ends friendship and requests in both directions.
// To the blocked user it looks like an unfriend, so the Outbox node is written only where something ended.
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
WITH low, high, me, other, EXISTS { (me)-[:BLOCKED]->(other) } AS before,
     [(me)-[r:FRIEND|REQUESTED]-(other) | r] AS relations
WITH low, high, me, other, before, CASE WHEN before THEN [] ELSE relations END AS gone
FOREACH (r IN gone | DELETE r)
FOREACH (_ IN CASE WHEN before THEN [] ELSE [1] END |
  CREATE (me)-[:BLOCKED {at: datetime.statement().epochMillis}]->(other))
FOREACH (_ IN gone[..1] | CREATE (:Outbox {a: low.id, b: high.id}))
RETURN NOT before AS changed
