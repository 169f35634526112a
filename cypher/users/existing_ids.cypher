// Which of these ids belong to a user.
//
// parameters: ids: list of strings
// returns:    one row: ids
// locks:      none
// plan:       NodeUniqueIndexSeek
UNWIND $ids AS id
MATCH (u:User {id: id})
RETURN collect(u.id) AS ids
