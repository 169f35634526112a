// First half of a bulk upsert: locks every user of the batch and reads what decides each pair.
// Pairs with the same first user are looked up together: that user's relations are traversed once, not once a pair.
//
// parameters: ids: list of distinct strings, pairs: list of [a string, b string]
// returns:    one row: ids, degrees (numbers of friends, of equal length),
//             states: one for each pair that has a relation, [a, b, "friends" | "blocked"]
// locks:      the users, ascending by id, until the transaction ends
// plan:       NodeUniqueIndexSeek, Expand(All); Eager (all locks are held before anything is read)
UNWIND $ids AS id
MATCH (u:User {id: id})
WITH u ORDER BY u.id
SET u.id = u.id
WITH collect(u) AS users
WITH [u IN users | u.id] AS ids, [u IN users | COUNT { (u)-[:FRIEND]-() }] AS degrees
CALL (ids) {
  UNWIND $pairs AS pair
  WITH pair[0] AS first, collect(pair[1]) AS seconds
  MATCH (a:User {id: first})
  CALL (a, first, seconds) {
    WITH a, first, seconds WHERE size(seconds) >= 8
    RETURN [(a)-[:FRIEND]-(f:User) WHERE f.id IN seconds | [first, f.id, 'friends']] +
           [(a)-[:BLOCKED]-(x:User) WHERE x.id IN seconds | [first, x.id, 'blocked']] AS some
    UNION ALL
    WITH a, first, seconds WHERE size(seconds) < 8
    UNWIND seconds AS second
    MATCH (b:User {id: second})
    WITH first, second, CASE
      WHEN EXISTS { (a)-[:FRIEND]-(b) } THEN 'friends'
      WHEN EXISTS { (a)-[:BLOCKED]-(b) } THEN 'blocked' END AS state
    WHERE state IS NOT NULL
    RETURN collect([first, second, state]) AS some
  }
  UNWIND some AS state
  RETURN collect(state) AS states
}
RETURN ids, degrees, states
