// Friends of friends, ranked by their exact number of mutual friends; with the first three of these by id.
// Friends, pending requests and blocks in either direction are left out. Paths are grouped by the node's
// internal id, which is a quarter cheaper than by node; outside of this query it only orders candidates of equal count
// at the limit. Paths are counted before the lists of excluded users are read: after it, each count would hold a copy
// of them (over 1 GB instead of 5 MB).
//
// parameters: me: string, limit: integer
// returns:    one row of lists of equal length: ids, counts, firsts (lists of up to three ids)
//             no row where the user does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All), NodeByIdSeek
// members:    any
MATCH (me:User {id: $me})
WITH me, [(me)-[:FRIEND]-(f) | id(f)] AS friends, [(me)-[:REQUESTED|BLOCKED]-(x) | id(x)] + id(me) AS others
CALL (me, friends, others) {
  CALL (me) {
    MATCH (me)-[:FRIEND]-(f)
    MATCH (f)-[:FRIEND]-(c)
    RETURN id(c) AS number, count(*) AS mutual
  }
  WITH friends, others, number, mutual
  WHERE NOT (number IN friends OR number IN others)
  WITH friends, number, mutual ORDER BY mutual DESC, number LIMIT $limit
  MATCH (c) WHERE id(c) = number
  CALL (c, friends) {
    MATCH (c)-[:FRIEND]-(m) WHERE id(m) IN friends
    WITH m.id AS id ORDER BY id LIMIT 3
    RETURN collect(id) AS first
  }
  WITH c.id AS id, mutual, first ORDER BY mutual DESC, id
  RETURN collect(id) AS ids, collect(mutual) AS counts, collect(first) AS firsts
}
RETURN ids, counts, firsts
