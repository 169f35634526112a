// A page of the requests that wait for this user, in order of id. Requests of those the user has blocked are hidden.
//
// parameters: me: string, after: string, limit: integer
// returns:    one row of lists of equal length: ids, names, ats (ms)
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)<-[r:REQUESTED]-(f)
  WHERE f.id > $after AND NOT EXISTS { (me)-[:BLOCKED]->(f) }
  WITH r, f ORDER BY f.id LIMIT $limit
  RETURN collect(f.id) AS ids, collect(coalesce(f.name, "")) AS names, collect(r.at) AS ats
}
RETURN ids, names, ats
