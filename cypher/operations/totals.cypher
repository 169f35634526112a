// How many users and friendships there are, from the count store: by these a copy of the graph is compared with it.
//
// parameters: none
// returns:    one row: people, friendships
// locks:      none
// plan:       NodeCountFromCountStore, RelationshipCountFromCountStore
RETURN COUNT { (:User) } AS people, COUNT { ()-[:FRIEND]->() } AS friendships
