// How many users and friendships there are, from the count store, to compare a copy with the graph.
//
// parameters: none
// returns:    one row: people, friendships
// locks:      none
// plan:       NodeCountFromCountStore, RelationshipCountFromCountStore
RETURN COUNT { (:User) } AS people, COUNT { ()-[:FRIEND]->() } AS friendships
