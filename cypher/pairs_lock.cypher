// First half of a bulk upsert: locks every user of the batch and reads what decides over each pair.
//
// parameters: ids: list of distinct strings, pairs: list of [a string, b string]
// returns:    one row: ids, degrees (numbers of friends, of equal length),
//             states: one a pair of known users, [a, b, "friends" | "blocked" | "none"]
// locks:      the users, ascending by id, until the transaction ends
// plan:       NodeUniqueIndexSeek; Eager (all locks are held before anything is read)
UNWIND $ids AS id
MATCH (u:User {id: id})
WITH u ORDER BY u.id
SET u.id = u.id
WITH collect(u) AS users
WITH [u IN users | u.id] AS ids, [u IN users | COUNT { (u)-[:FRIEND]-() }] AS degrees
CALL () {
  UNWIND $pairs AS pair
  MATCH (a:User {id: pair[0]}), (b:User {id: pair[1]})
  RETURN collect([pair[0], pair[1], CASE
    WHEN EXISTS { (a)-[:FRIEND]-(b) } THEN 'friends'
    WHEN EXISTS { (a)-[:BLOCKED]-(b) } THEN 'blocked'
    ELSE 'none' END]) AS states
}
RETURN ids, degrees, states
