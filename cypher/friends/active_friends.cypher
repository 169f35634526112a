// The active part of a friend list, for the cache in App Context: online now, then most recently seen.
//
// parameters: me: string, limit: integer
// returns:    one row: ids, sinces (s; 0 when unknown), in this order; no row where the user does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Top
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)-[r:FRIEND]-(f:User)
  WITH f.id AS id, coalesce(r.since, 0) AS since, f:Online AND NOT coalesce(f.invisible, false) AS online,
       coalesce(f.last_seen, 0) AS seen
  ORDER BY online DESC, seen DESC, id LIMIT $limit
  RETURN collect(id) AS ids, collect(since) AS sinces
}
RETURN ids, sinces
