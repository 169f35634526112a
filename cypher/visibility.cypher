// Makes a user appear offline to friends, or visible again. While invisible, last_seen stands still.
//
// parameters: me: string, invisible: boolean
// returns:    one row: changed; no row where the user does not exist
// locks:      the user
// plan:       NodeUniqueIndexSeek; Eager (the lock is taken before anything is read)
MATCH (u:User {id: $me})
SET u.id = u.id
WITH u, coalesce(u.invisible, false) <> $invisible AS changed
FOREACH (_ IN CASE WHEN changed AND $invisible THEN [1] ELSE [] END |
  SET u.invisible = true,
      u.last_seen = CASE WHEN u:Online THEN datetime.statement().epochMillis ELSE u.last_seen END)
FOREACH (_ IN CASE WHEN changed AND NOT $invisible THEN [1] ELSE [] END | REMOVE u.invisible)
RETURN changed
