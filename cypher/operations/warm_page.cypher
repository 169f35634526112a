// A page of all users in order of id; reads their friends and flags, so that they are in the page cache.
//
// parameters: after: string ("" = from the start), limit: integer
// returns:    one row: people: number of users; last: the id of the last (null where there was none);
//             friendships: number of edges that were read
// locks:      none
// plan:       NodeUniqueIndexSeekByRange, Expand(All)
MATCH (u:User) WHERE u.id > $after
WITH u ORDER BY u.id LIMIT $limit
WITH u.id AS id, size([(u)-[:FRIEND]-(f) WHERE f.id > "" | 1]) AS walked
RETURN count(id) AS people, max(id) AS last, sum(walked) AS friendships
