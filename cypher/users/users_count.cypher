// How many users there are, from the count store.
//
// parameters: none
// returns:    one row: people
// locks:      none
// plan:       NodeCountFromCountStore
MATCH (u:User) RETURN count(u) AS people
