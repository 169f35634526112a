// The oldest changed pairs with their present relation and both flags, read after the change's commit, with one clock.
//
// parameters: limit: integer
// returns:    one row for each node: node (its id), a, b, friends, since (s), a_asked, b_asked, a_blocked, b_blocked,
//             and for each end name, present, invisible, presence_at, last_seen (null where erased); ts (microseconds)
// locks:      none
// plan:       NodeByLabelScan, NodeUniqueIndexSeek
MATCH (o:Outbox)
WITH o ORDER BY elementId(o) LIMIT $limit
OPTIONAL MATCH (a:User {id: o.a})
OPTIONAL MATCH (b:User {id: o.b})
OPTIONAL MATCH (a)-[r:FRIEND]-(b)
RETURN elementId(o) AS node, o.a AS a, o.b AS b, r IS NOT NULL AS friends, r.since AS since,
       EXISTS { (a)-[:REQUESTED]->(b) } AS a_asked, EXISTS { (b)-[:REQUESTED]->(a) } AS b_asked,
       EXISTS { (a)-[:BLOCKED]->(b) } AS a_blocked, EXISTS { (b)-[:BLOCKED]->(a) } AS b_blocked,
       a.name AS a_name, a:Online AS a_present, coalesce(a.invisible, false) AS a_invisible,
       a.presence_at AS a_presence_at, a.last_seen AS a_last_seen,
       b.name AS b_name, b:Online AS b_present, coalesce(b.invisible, false) AS b_invisible,
       b.presence_at AS b_presence_at, b.last_seen AS b_last_seen,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
