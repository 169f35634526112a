// A page of a user's friends in order of id, all of them or only those online or offline.
// Each id is read once: every page examines all friends.
//
// parameters: me: string, after: string ("" = from the start), limit: integer, online: boolean or null
// returns:    one row of lists of equal length: ids, names, onlines, last_seens (ms), sinces (s); ts (microseconds)
//             no row where the user does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
// members:    any
MATCH (me:User {id: $me})
CALL (me) {
  MATCH (me)-[r:FRIEND]-(f)
  WITH r, f, f.id AS id
  WHERE id > $after AND ($online IS NULL OR (f:Online AND f.invisible IS NULL) = $online)
  WITH r, f, id ORDER BY id LIMIT $limit
  WITH collect(f) AS friends, collect(r) AS relations
  RETURN [f IN friends | f.id] AS ids, [f IN friends | coalesce(f.name, "")] AS names,
         [f IN friends | f:Online AND f.invisible IS NULL] AS onlines,
         [f IN friends | coalesce(f.last_seen, 0)] AS last_seens,
         [r IN relations | coalesce(r.since, 0)] AS sinces
}
RETURN ids, names, onlines, last_seens, sinces,
       datetime.statement().epochSeconds * 1000000 + datetime.statement().microsecond AS ts
