// A page of all people in order of id, whose friends and their flags are looked at so that they are in memory.
//
// parameters: after: string ("" = from the start), limit: integer
// returns:    one row: people, how many there were; last: the id of the last (null where there was nobody);
//             friendships: how many edges were walked
// locks:      none
// plan:       NodeUniqueIndexSeekByRange, Expand(All)
MATCH (u:User) WHERE u.id > $after
WITH u ORDER BY u.id LIMIT $limit
WITH u.id AS id, size([(u)-[:FRIEND]-(f) WHERE f.id > "" | 1]) AS walked
RETURN count(id) AS people, max(id) AS last, sum(walked) AS friendships
