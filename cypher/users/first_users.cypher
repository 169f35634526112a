// The first people in order of id.
//
// parameters: limit: integer
// returns:    a row a person: id
// locks:      none
// plan:       NodeUniqueIndexSeekByRange
MATCH (u:User) WHERE u.id > ""
RETURN u.id AS id ORDER BY id LIMIT $limit
