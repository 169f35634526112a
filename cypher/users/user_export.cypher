// Everything that the graph holds of one user. Blocks by others are their data, and not included.
//
// parameters: id: string
// returns:    one row: properties, online, friends, requested, requests, blocked: lists of [id, time]
// locks:      none
// plan:       NodeUniqueIndexSeek
MATCH (u:User {id: $id})
RETURN properties(u) AS properties, u:Online AS online,
       [(u)-[r:FRIEND]-(f:User) | [f.id, r.since]] AS friends,
       [(u)-[r:REQUESTED]->(f:User) | [f.id, r.at]] AS requested,
       [(u)<-[r:REQUESTED]-(f:User) WHERE NOT EXISTS { (u)-[:BLOCKED]->(f) } | [f.id, r.at]] AS requests,
       [(u)-[r:BLOCKED]->(f:User) | [f.id, r.at]] AS blocked
