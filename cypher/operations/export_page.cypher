// A page of all users in order of id, each with the friends whose id is greater: every friendship once.
//
// parameters: after: string ("" = from the start), limit: integer
// returns:    one row for each user: id, name, friends: list of ids, ascending, sinces (s), of equal length
// locks:      none
// plan:       NodeUniqueIndexSeekByRange, Expand(All)
// members:    any
MATCH (u:User) WHERE u.id > $after
WITH u ORDER BY u.id LIMIT $limit
CALL (u) {
  MATCH (u)-[r:FRIEND]->(f:User)
  WITH f.id AS friend, coalesce(r.since, 0) AS since ORDER BY friend
  RETURN collect(friend) AS friends, collect(since) AS sinces
}
RETURN u.id AS id, coalesce(u.name, "") AS name, friends, sinces
