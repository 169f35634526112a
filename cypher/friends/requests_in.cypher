// A page of the pending requests to this user, in order of id. Requests of blocked users are hidden.
//
// parameters: me: string, after: string, limit: integer
// returns:    one row of lists of equal length: ids, names, ats (ms)
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
// members:    any
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)<-[r:REQUESTED]-(f)
  WHERE f.id > $after AND NOT EXISTS { (me)-[:BLOCKED]->(f) }
  WITH r, f ORDER BY f.id LIMIT $limit
  WITH collect(f) AS people, collect(r) AS relations
  RETURN [f IN people | f.id] AS ids, [f IN people | coalesce(f.name, "")] AS names,
         [r IN relations | coalesce(r.at, 0)] AS ats
}
RETURN ids, names, ats
