// A page of the users whom this user has blocked, in order of id.
//
// parameters: me: string, after: string, limit: integer
// returns:    one row of lists of equal length: ids, names, ats (ms)
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
// members:    any
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)-[r:BLOCKED]->(f) WHERE f.id > $after
  WITH r, f ORDER BY f.id LIMIT $limit
  WITH collect(f) AS people, collect(r) AS relations
  RETURN [f IN people | f.id] AS ids, [f IN people | coalesce(f.name, "")] AS names,
         [r IN relations | coalesce(r.at, 0)] AS ats
}
RETURN ids, names, ats
