// Whether two users are friends.
//
// parameters: me: string, other: string
// returns:    one row: friends; no row where either does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(Into)
MATCH (me:User {id: $me}), (other:User {id: $other})
RETURN EXISTS { (me)-[:FRIEND]-(other) } AS friends
