// A page of those whom this user has blocked, in order of id.
//
// parameters: me: string, after: string, limit: integer
// returns:    one row of lists of equal length: ids, names, ats (ms)
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)-[r:BLOCKED]->(f) WHERE f.id > $after
  WITH r, f ORDER BY f.id LIMIT $limit
  RETURN collect(f.id) AS ids, collect(coalesce(f.name, "")) AS names, collect(r.at) AS ats
}
RETURN ids, names, ats
