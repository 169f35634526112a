// Makes friends of people in a graph that has no friendships yet: nothing is looked up, nobody is told.
// People are sought once a batch, not once a friendship: 3,000 seeks instead of a million.
//
// parameters: ids: list of strings, rows: list of [integer, list of integers]: a person and those who become friends,
//             as places in `ids`, the smaller id first
// returns:    one row: made
// locks:      the people of `rows`, as far as the batch has come; nobody else may write meanwhile
// plan:       NodeUniqueIndexSeek; Eager (people are collected before friendships are made)
UNWIND $ids AS id
MATCH (u:User {id: id})
WITH collect(u) AS users
UNWIND $rows AS row
WITH users, users[row[0]] AS a, row[1] AS others
UNWIND others AS other
WITH a, users[other] AS b
CREATE (a)-[:FRIEND]->(b)
RETURN count(*) AS made
