// The relation of two users and the flags of one, to explain what the viewer sees of the friend.
//
// parameters: viewer: string, friend: string
// returns:    one row: viewer_name, friend_name, friends, viewer_asked, friend_asked, viewer_blocked, friend_blocked, present, invisible,
//             presence_at (ms), last_seen (ms), ts (microseconds); no row where either does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(Into)
MATCH (v:User {id: $viewer}), (f:User {id: $friend})
RETURN coalesce(v.name, "") AS viewer_name, coalesce(f.name, "") AS friend_name, EXISTS { (v)-[:FRIEND]-(f) } AS friends,
       EXISTS { (v)-[:REQUESTED]->(f) } AS viewer_asked, EXISTS { (f)-[:REQUESTED]->(v) } AS friend_asked,
       EXISTS { (v)-[:BLOCKED]->(f) } AS viewer_blocked, EXISTS { (f)-[:BLOCKED]->(v) } AS friend_blocked,
       f:Online AS present, coalesce(f.invisible, false) AS invisible,
       coalesce(f.presence_at, 0) AS presence_at, coalesce(f.last_seen, 0) AS last_seen,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
