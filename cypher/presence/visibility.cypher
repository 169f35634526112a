// Makes a user invisible (offline to friends) or visible.
// Writes an Outbox node with this user as both ends where friends can see the difference, so that they are notified
// even after a crash. While a user is invisible, last_seen
// does not change, and hidden_from is the time of the last visible change of presence.
//
// parameters: me: string, invisible: boolean
// returns:    one row: changed; no row where the user does not exist
// locks:      the user
// plan:       NodeUniqueIndexSeek; Eager (the lock is taken before anything is read)
MATCH (u:User {id: $me})
SET u.id = u.id
WITH u, coalesce(u.invisible, false) <> $invisible AS changed
FOREACH (_ IN CASE WHEN changed AND $invisible THEN [1] ELSE [] END |
  SET u.invisible = true, u.hidden_from = coalesce(u.presence_at, 0),
      u.last_seen = CASE WHEN u:Online THEN datetime.statement().epochMillis ELSE u.last_seen END)
FOREACH (_ IN CASE WHEN changed AND NOT $invisible THEN [1] ELSE [] END | REMOVE u.invisible, u.hidden_from)
FOREACH (_ IN CASE WHEN changed AND u:Online THEN [1] ELSE [] END | CREATE (:Outbox {a: u.id, b: u.id}))
RETURN changed
