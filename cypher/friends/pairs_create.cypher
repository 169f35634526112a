// Second half of a bulk upsert: makes friends of pairs that pairs_lock found free, in the same transaction.
// Pending requests between the two are deleted.
//
// parameters: pairs: list of [low string, high string, since integer (s; 0 = unknown, not stored)], tell: boolean (write Outbox nodes)
// returns:    one row: created
// locks:      held by pairs_lock
// plan:       NodeUniqueIndexSeek; Eager (requests are collected before they are deleted)
UNWIND $pairs AS pair
WITH pair[0] AS low, collect(pair) AS group
MATCH (a:User {id: low})
WITH a, group, [pair IN group | pair[1]] AS highs
WITH a, group, [(a)-[r:REQUESTED]-(b:User) WHERE b.id IN highs | r] AS answered
FOREACH (r IN answered | DELETE r)
WITH a, group
UNWIND group AS pair
MATCH (b:User {id: pair[1]})
CREATE (a)-[:FRIEND {since: CASE WHEN pair[2] > 0 THEN pair[2] END}]->(b)
FOREACH (_ IN CASE WHEN $tell THEN [1] ELSE [] END | CREATE (:Outbox {a: pair[0], b: pair[1]}))
RETURN count(*) AS created
