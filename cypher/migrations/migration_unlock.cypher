// Frees the migration lock, where it is still ours.
//
// parameters: owner: string
// returns:    nothing
// locks:      the lock node
// plan:       NodeUniqueIndexSeek; Eager (the owner is read before it is removed)
MATCH (l:__FriendsMigrationLock {name: 'migrations'}) WHERE l.owner = $owner
REMOVE l.owner, l.until
