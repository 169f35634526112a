// Friends of friends, ranked by their exact number of mutual friends; who they share, the first three by id.
// Friends, pending requests and blocks in either direction are left out.
//
// parameters: me: string, limit: integer
// returns:    one row of lists of equal length: ids, counts, firsts (lists of up to three ids)
//             no row where the user does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All); Eager (friends are collected before they are walked)
MATCH (me:User {id: $me})
WITH me, [(me)-[:FRIEND]-(f) | f] AS friends, [(me)-[:REQUESTED|BLOCKED]-(x) | x] AS others
WITH me, friends, friends + others + [me] AS excluded
CALL (me, friends, excluded) {
  UNWIND friends AS f
  MATCH (f)-[:FRIEND]-(c)
  WITH excluded, c, count(*) AS mutual
  WHERE NOT c IN excluded
  WITH c, mutual ORDER BY mutual DESC, c.id LIMIT $limit
  WITH c, mutual, [(c)-[:FRIEND]-(m) WHERE m IN friends | m.id] AS shared
  CALL (shared) {
    UNWIND shared AS id
    WITH id ORDER BY id LIMIT 3
    RETURN collect(id) AS first
  }
  RETURN collect(c.id) AS ids, collect(mutual) AS counts, collect(first) AS firsts
}
RETURN ids, counts, firsts
