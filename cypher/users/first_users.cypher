// The first users in order of id.
//
// parameters: limit: integer
// returns:    one row for each user: id
// locks:      none
// plan:       NodeUniqueIndexSeekByRange
MATCH (u:User) WHERE u.id > ""
RETURN u.id AS id ORDER BY id LIMIT $limit
