// Name and state of people that a kept suggestion names; candidates who became friends, asked or were blocked are marked.
//
// parameters: me: string, ids: list of strings
// returns:    one row of lists of equal length: ids, names, onlines, friends, taken; ids without a user are left out
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(Into)
MATCH (me:User {id: $me})
UNWIND $ids AS id
MATCH (u:User {id: id})
RETURN collect(u.id) AS ids, collect(coalesce(u.name, "")) AS names,
       collect(u:Online AND u.invisible IS NULL) AS onlines,
       collect(EXISTS { (me)-[:FRIEND]-(u) }) AS friends,
       collect(EXISTS { (me)-[:FRIEND|REQUESTED|BLOCKED]-(u) }) AS taken
