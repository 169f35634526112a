// Creates friendships in a graph that has none: nothing is checked, and no user is notified.
// Users are looked up once a batch, not once a friendship: 3,000 seeks instead of a million.
//
// parameters: ids: list of strings, rows: list of [integer, list of integers]: a user and the new friends,
//             as positions in `ids`, the smaller id first
// returns:    one row: made
// locks:      the users of `rows`, as far as the batch has come; no other process may write during it
// plan:       NodeUniqueIndexSeek; Eager (users are collected before friendships are created)
UNWIND $ids AS id
MATCH (u:User {id: id})
WITH collect(u) AS users
UNWIND $rows AS row
WITH users, users[row[0]] AS a, row[1] AS others
UNWIND others AS other
WITH a, users[other] AS b
CREATE (a)-[:FRIEND]->(b)
RETURN count(*) AS made
