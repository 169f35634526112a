// Takes or renews the migration lock, where it is free, ours or expired.
//
// parameters: owner: string, seconds: integer
// returns:    one row: free (whether it is ours now)
// locks:      the lock node
// plan:       Eager (the node is locked before its owner is read)
MERGE (l:__FriendsMigrationLock {name: 'migrations'})
SET l.name = l.name
WITH l, datetime.statement().epochMillis AS now
WITH l, now, l.owner IS NULL OR l.owner = $owner OR l.until < now AS free
FOREACH (_ IN CASE WHEN free THEN [1] ELSE [] END | SET l.owner = $owner, l.until = now + $seconds * 1000)
RETURN free
