// The commit stage: writes settled flags that are not older than the stored ones (compare-and-set by presence_at).
//
// parameters: rows: list of [id string, online boolean, at integer (ms), shard integer]; each id once
// returns:    changed, equal, older: lists of ids; an id in none of them has no user;
//             flipped: those whose flag itself changed; hidden: those that were invisible at the commit
// locks:      the users, ascending by id
// plan:       NodeUniqueIndexSeek; Eager (the lock is taken before anything is read)
UNWIND $rows AS row
MATCH (u:User {id: row[0]})
WITH u, row ORDER BY u.id
SET u.id = u.id
WITH u, row, coalesce(u.presence_at, 0) AS had, u:Online AS was
FOREACH (_ IN CASE WHEN row[2] >= had THEN [1] ELSE [] END |
  SET u.presence_at = row[2], u.shard = row[3],
      u.last_seen = CASE WHEN u.invisible THEN u.last_seen ELSE row[2] END)
FOREACH (_ IN CASE WHEN row[2] >= had AND row[1] THEN [1] ELSE [] END | SET u:Online)
FOREACH (_ IN CASE WHEN row[2] >= had AND NOT row[1] THEN [1] ELSE [] END | REMOVE u:Online)
RETURN collect(CASE WHEN row[2] > had THEN row[0] END) AS changed,
       collect(CASE WHEN row[2] = had THEN row[0] END) AS equal,
       collect(CASE WHEN row[2] < had THEN row[0] END) AS older,
       collect(CASE WHEN row[2] >= had AND row[1] <> was THEN row[0] END) AS flipped,
       collect(CASE WHEN u.invisible AND row[2] >= had AND row[2] > coalesce(u.hidden_from, 0) THEN row[0] END) AS hidden
