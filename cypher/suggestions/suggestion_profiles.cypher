// Names and states of the users in a cached ranking.
// Candidates that have become friends, requested or blocked are marked as taken. The user's relations are traversed once: looking between the two for each candidate costs three
// times as much.
//
// parameters: me: string, ids: list of strings
// returns:    one row of lists of equal length: ids, names, onlines, friends, taken; ids without a user are left out;
//             no row where the user does not exist
// locks:      none
// plan:       NodeUniqueIndexSeek, Expand(All)
// members:    any
MATCH (me:User {id: $me})
WITH me, [(me)-[:FRIEND]-(f) | id(f)] AS mine, [(me)-[:REQUESTED|BLOCKED]-(x) | id(x)] AS others
CALL (mine, others) {
  UNWIND $ids AS id
  MATCH (u:User {id: id})
  WITH u, mine, others, id(u) AS number
  RETURN collect(coalesce(u.id, "")) AS ids, collect(coalesce(u.name, "")) AS names,
         collect(u:Online AND u.invisible IS NULL) AS onlines,
         collect(number IN mine) AS friends, collect(number IN mine OR number IN others) AS taken
}
RETURN ids, names, onlines, friends, taken
