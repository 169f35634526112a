// Requests friendship, or accepts where the other user has requested it. Idempotent.
// Where the other user has blocked the caller, the request is stored like any other, and hidden from the blocker.
//
// parameters: me: string, other: string, friend_limit: integer, pending_limit: integer
// returns:    one row: outcome, one of
//               friends, requested (nothing changed), accepted, asked (changed),
//               blocking, me_full, other_full, pending_full (refused)
//             no row where either does not exist
// locks:      both users, ascending by id
// plan:       NodeUniqueIndexSeek; Eager (both locks are held before anything is read)
UNWIND [$me, $other] AS id
MATCH (u:User {id: id})
WITH u ORDER BY u.id
SET u.id = u.id
WITH collect(u) AS pair
WHERE size(pair) = 2
WITH pair[0] AS low, pair[1] AS high,
     CASE WHEN pair[0].id = $me THEN pair[0] ELSE pair[1] END AS me,
     CASE WHEN pair[0].id = $me THEN pair[1] ELSE pair[0] END AS other
WITH low, high, me, other,
     [(other)-[r:REQUESTED]->(me) | r] AS invitations,
     CASE
       WHEN EXISTS { (me)-[:FRIEND]-(other) } THEN 'friends'
       WHEN EXISTS { (me)-[:BLOCKED]->(other) } THEN 'blocking'
       WHEN EXISTS { (me)-[:REQUESTED]->(other) } THEN 'requested'
       WHEN COUNT { (me)-[:FRIEND]-() } >= $friend_limit THEN 'me_full'
       WHEN NOT EXISTS { (other)-[:REQUESTED]->(me) } THEN
         CASE WHEN COUNT { (me)-[:REQUESTED]->() } >= $pending_limit THEN 'pending_full' ELSE 'asked' END
       WHEN COUNT { (other)-[:FRIEND]-() } >= $friend_limit THEN 'other_full'
       ELSE 'accepted'
     END AS outcome
FOREACH (_ IN CASE WHEN outcome = 'accepted' THEN [1] ELSE [] END |
  FOREACH (r IN invitations | DELETE r)
  CREATE (low)-[:FRIEND {since: datetime.statement().epochSeconds}]->(high))
FOREACH (_ IN CASE WHEN outcome = 'asked' THEN [1] ELSE [] END |
  CREATE (me)-[:REQUESTED {at: datetime.statement().epochMillis}]->(other))
FOREACH (_ IN CASE WHEN outcome IN ['accepted', 'asked'] THEN [1] ELSE [] END |
  CREATE (:Outbox {a: low.id, b: high.id}))
RETURN outcome
