// The read stage, and friends.sync: state and online friends of each user, with the statement's clock.
//
// parameters: ids: list of strings
// returns:    one row for each user: id, name, present, invisible, presence_at, last_seen (ms),
//             online: ids of the friends flagged online, hidden: those of them that are invisible,
//             total: number of friends, ts (microseconds)
// locks:      none; begins after the commit of write_flags, so that of two users who arrive at once at least one sees the other
// plan:       NodeUniqueIndexSeek, Expand(All); `= true` keeps the planner from starting at all online users, which it
//             does while they are few, and the plan stays cached when they are many
UNWIND $ids AS id
MATCH (u:User {id: id})
WITH u, [(u)-[:FRIEND]-(f) WHERE (f:Online) = true | f] AS friends
RETURN u.id AS id, u.name AS name, u:Online AS present, coalesce(u.invisible, false) AS invisible,
       coalesce(u.presence_at, 0) AS presence_at, coalesce(u.last_seen, 0) AS last_seen,
       [f IN friends | f.id] AS online,
       [f IN friends WHERE f.invisible | f.id] AS hidden,
       COUNT { (u)-[:FRIEND]-() } AS total,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
