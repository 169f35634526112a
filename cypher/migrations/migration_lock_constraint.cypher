// Ensures that there is only one migration lock.
//
// parameters: none
// returns:    nothing
// locks:      the schema, where the constraint is new
// plan:       CreateConstraint
CREATE CONSTRAINT friends_migration_lock IF NOT EXISTS
FOR (l:__FriendsMigrationLock) REQUIRE l.name IS UNIQUE
