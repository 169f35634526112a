// Users flagged online in these shards: what a bridge loads when it takes over a partition.
//
// parameters: shards: list of integers
// returns:    one row: ids, ats (presence_at, ms), of equal length
// locks:      none
// plan:       NodeIndexSeek
MATCH (o:Online) WHERE o.shard IN $shards
WITH collect(o) AS users
RETURN [u IN users | u.id] AS ids, [u IN users | coalesce(u.presence_at, 0)] AS ats
