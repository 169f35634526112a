// The state of many users, for the product's back end. Invisible users are offline.
//
// parameters: ids: list of strings
// returns:    one row of lists of equal length: ids, onlines, last_seens (ms); ts (microseconds)
// locks:      none
// plan:       NodeUniqueIndexSeek
UNWIND $ids AS id
MATCH (u:User {id: id})
WITH collect(u) AS users
RETURN [u IN users | u.id] AS ids, [u IN users | u:Online AND u.invisible IS NULL] AS onlines,
       [u IN users | coalesce(u.last_seen, 0)] AS last_seens,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
