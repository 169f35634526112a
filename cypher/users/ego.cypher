// A user, the friends whose state changed last, and which of these are friends of each other.
//
// parameters: me: string, limit: integer, edges: integer
// returns:    one row: name, present, invisible, total; ids, names, presents, hiddens: lists of equal length;
//             pairs: list of [id, id], at most `edges`; ts (microseconds); no row where the user does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
// members:    any
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)-[:FRIEND]-(f)
  WITH f ORDER BY coalesce(f.presence_at, 0) DESC, f.id LIMIT $limit
  RETURN collect(f) AS friends
}
WITH me, friends, [f IN friends | id(f)] AS numbers
CALL (friends, numbers) {
  UNWIND friends AS a
  MATCH (a)-[:FRIEND]->(b) WHERE id(b) IN numbers
  WITH a, b LIMIT $edges
  RETURN collect([a.id, b.id]) AS pairs
}
RETURN coalesce(me.name, "") AS name, me:Online AS present, coalesce(me.invisible, false) AS invisible,
       COUNT { (me)-[:FRIEND]-() } AS total, pairs,
       [f IN friends | f.id] AS ids, [f IN friends | coalesce(f.name, "")] AS names,
       [f IN friends | f:Online] AS presents, [f IN friends | coalesce(f.invisible, false)] AS hiddens,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
