// One friend of a user, with the number of mutual friends.
//
// parameters: me: string, other: string
// returns:    one row: id, name, online, last_seen (ms), since (s), mutual, ts (microseconds); none where not friends
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(Into)
MATCH (me:User {id: $me}), (f:User {id: $other})
MATCH (me)-[r:FRIEND]-(f)
CALL (me, f) {
  MATCH (me)-[:FRIEND]-(m)-[:FRIEND]-(f)
  USING JOIN ON m
  RETURN count(m) AS mutual
}
RETURN f.id AS id, coalesce(f.name, "") AS name, (f:Online AND f.invisible IS NULL) AS online,
       coalesce(f.last_seen, 0) AS last_seen, coalesce(r.since, 0) AS since, mutual,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
