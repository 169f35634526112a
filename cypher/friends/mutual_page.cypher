// A page of the mutual friends of two users, in order of id.
//
// parameters: me: string, other: string, after: string, limit: integer
// returns:    one row of lists of equal length: ids, names, onlines, last_seens (ms); total; ts (microseconds)
// locks:      none
// plan:       NodeUniqueIndexSeek, NodeHashJoin
// members:    any
MATCH (me:User {id: $me})-[:FRIEND]-(m)-[:FRIEND]-(other:User {id: $other})
USING JOIN ON m
WITH m ORDER BY m.id
WITH collect(m) AS shared
WITH size(shared) AS total, [m IN shared WHERE m.id > $after][..$limit] AS page
RETURN [m IN page | m.id] AS ids, [m IN page | coalesce(m.name, "")] AS names,
       [m IN page | m:Online AND m.invisible IS NULL] AS onlines,
       [m IN page | coalesce(m.last_seen, 0)] AS last_seens, total,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
