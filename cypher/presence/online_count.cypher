// How many users are flagged online, from the count store.
//
// parameters: none
// returns:    one row: online
// locks:      none
// plan:       NodeCountFromCountStore
MATCH (o:Online) RETURN count(o) AS online
